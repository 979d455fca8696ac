terraform import metal_dns_zone.example example.net
