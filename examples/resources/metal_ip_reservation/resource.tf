resource "metal_subnet" "lab" {
  name = "lab"
  cidr = "10.31.0.0/24"
}

# Always this address.
resource "metal_ip_reservation" "scope" {
  name     = "oscilloscope"
  subnet   = metal_subnet.lab.name
  address  = "10.31.0.20"
  mac      = "52:54:00:aa:00:20"
  hostname = "scope"
}

# Any address that is free, and then always that one.
resource "metal_ip_reservation" "camera" {
  name   = "camera"
  subnet = metal_subnet.lab.name
  mac    = "52:54:00:aa:00:21"

  options = {
    custom = [{ code = 128, type = "ip", value = "10.31.0.2" }]
  }
}
