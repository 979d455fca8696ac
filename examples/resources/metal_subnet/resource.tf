resource "metal_subnet" "rack2" {
  name    = "rack2"
  cidr    = "10.20.0.0/24"
  vlan    = 20
  gateway = "10.20.0.1"
  domain  = "rack2.example.net"

  dhcp = {
    enabled = true
    # For machines that boot for the first time. Those that are declared get addresses of their own outside of it.
    ranges = [{ first = "10.20.0.200", last = "10.20.0.249" }]
  }
}
