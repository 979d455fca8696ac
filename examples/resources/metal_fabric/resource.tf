resource "metal_fabric" "hall2" {
  name        = "hall2"
  description = "Switches of the second hall"
}
