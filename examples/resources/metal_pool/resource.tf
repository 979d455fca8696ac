resource "metal_pool" "web" {
  name        = "web"
  description = "Front-end servers of the shop"
}
