data "metal_space" "internal" {
  name = "internal"
}
