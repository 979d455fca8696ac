resource "metal_subnet" "management" {
  name   = "management"
  cidr   = "10.33.0.0/24"
  domain = "mgmt.example.net"
}

resource "metal_device" "switch" {
  name        = "tor-1"
  description = "Top of rack 1"
  tags        = ["switch"]

  interfaces = [
    { mac = "52:54:00:bb:00:01", subnet = metal_subnet.management.name, address = "10.33.0.11" },
  ]
}
