data "metal_dns_record" "www" {
  zone = "shop.example.net"
  name = "www"
  type = "A"
}
