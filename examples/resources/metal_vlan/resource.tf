resource "metal_vlan" "storage" {
  name = "storage"
  vid  = 30
  mtu  = 9000

  # Hosts get their IPv6 addresses by DHCPv6, and learn of that from the server's router advertisements.
  router_advertisements = {
    enabled = true
    managed = true
  }
}
