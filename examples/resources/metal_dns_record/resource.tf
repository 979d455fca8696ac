resource "metal_dns_zone" "shop" {
  name = "shop.example.net"
}

resource "metal_dns_record" "www" {
  zone   = metal_dns_zone.shop.name
  name   = "www"
  type   = "A"
  ttl    = 300
  values = ["192.0.2.80", "192.0.2.81"]
}

resource "metal_dns_record" "mail" {
  zone   = metal_dns_zone.shop.name
  name   = "@"
  type   = "MX"
  values = ["10 mx1.example.net.", "20 mx2.example.net."]
}

resource "metal_dns_record" "ldap" {
  zone   = metal_dns_zone.shop.name
  name   = "_ldap._tcp"
  type   = "SRV"
  values = ["0 100 389 www"]
}

resource "metal_dns_record" "spf" {
  zone   = metal_dns_zone.shop.name
  name   = "@"
  type   = "TXT"
  values = ["\"v=spf1 mx -all\""]
}
