data "metal_static_route" "storage" {
  name = "floor-to-storage"
}
