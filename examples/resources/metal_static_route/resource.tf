resource "metal_subnet" "floor" {
  name    = "floor"
  cidr    = "10.32.0.0/24"
  gateway = "10.32.0.1"
}

resource "metal_static_route" "storage" {
  name        = "floor-to-storage"
  subnet      = metal_subnet.floor.name
  destination = "10.90.0.0/16"
  gateway     = "10.32.0.2"
}
