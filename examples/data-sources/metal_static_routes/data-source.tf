data "metal_static_routes" "floor" {
  subnet = "floor"
}
