resource "metal_dns_zone" "example" {
  name    = "example.net"
  ttl     = 300
  mailbox = "noc@example.net"

  # A secondary of the site's provider copies the zone, and is told of changes.
  name_servers = ["ns2.provider.example"]
  transfer = {
    networks = ["192.0.2.53/32"]
    notify   = ["192.0.2.53"]
  }
}
