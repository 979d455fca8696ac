data "metal_images" "debian" {
  os    = "debian"
  state = "ready"
}
