data "metal_fabric" "default" {
  name = "default"
}
