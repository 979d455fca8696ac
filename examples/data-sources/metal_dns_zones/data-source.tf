data "metal_dns_zones" "all" {}
