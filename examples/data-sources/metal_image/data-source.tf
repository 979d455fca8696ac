data "metal_image" "debian" {
  name = "debian-13"
}
