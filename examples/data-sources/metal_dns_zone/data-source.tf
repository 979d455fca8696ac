data "metal_dns_zone" "example" {
  name = "example.net"
}
