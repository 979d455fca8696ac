data "metal_dns_records" "mail" {
  zone = "shop.example.net"
  type = "MX"
}
