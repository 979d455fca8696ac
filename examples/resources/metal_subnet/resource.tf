resource "metal_vlan" "rack2" {
  name = "rack2"
  vid  = 20
}

resource "metal_subnet" "rack2" {
  name    = "rack2"
  cidr    = "10.20.0.0/24"
  vlan    = metal_vlan.rack2.vid
  gateway = "10.20.0.1"
  domain  = "rack2.example.net"

  dhcp = {
    mode = "authoritative"
    # For machines that boot for the first time. Those that are declared get addresses of their own outside of it.
    ranges = [{ first = "10.20.0.200", last = "10.20.0.249" }]
  }
}
