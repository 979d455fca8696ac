resource "metal_space" "internal" {
  name        = "internal"
  description = "Networks that nobody outside can reach"
}
