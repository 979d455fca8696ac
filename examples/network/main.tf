# The network of a small site: two VLANs of one fabric with IPv4 and IPv6, DHCP for whoever is on them, names in DNS.
# Everything is made in one apply, and gone after one destroy.
terraform {
  required_version = ">= 1.11"
  required_providers {
    metal = { source = "metalform/metal" }
  }
}

resource "metal_fabric" "site" {
  name        = var.name
  description = "All switches of the site"
}

resource "metal_space" "internal" {
  name        = "${var.name}-internal"
  description = "What nobody outside can reach"
}

resource "metal_vlan" "office" {
  name   = "${var.name}-office"
  fabric = metal_fabric.site.name
  vid    = 10
  space  = metal_space.internal.name

  # Hosts with IPv6 learn from these that addresses come by DHCPv6.
  router_advertisements = {
    enabled = true
    managed = true
    other   = true
  }
}

resource "metal_vlan" "servers" {
  name   = "${var.name}-servers"
  fabric = metal_fabric.site.name
  vid    = 20
  mtu    = 9000
  space  = metal_space.internal.name
}

resource "metal_subnet" "office" {
  name    = "${var.name}-office"
  fabric  = metal_fabric.site.name
  vlan    = metal_vlan.office.vid
  cidr    = cidrsubnet(var.ipv4, 8, 10)
  gateway = cidrhost(cidrsubnet(var.ipv4, 8, 10), 1)
  domain  = var.domain

  dhcp = {
    mode          = "authoritative"
    lease_seconds = 3600
  }
}

# Where most clients get their addresses from.
resource "metal_ip_range" "office" {
  name   = "${var.name}-office"
  subnet = metal_subnet.office.name
  first  = cidrhost(metal_subnet.office.cidr, 100)
  last   = cidrhost(metal_subnet.office.cidr, 199)
}

# What somebody else hands out by hand.
resource "metal_ip_range" "phones" {
  name   = "${var.name}-phones"
  subnet = metal_subnet.office.name
  first  = cidrhost(metal_subnet.office.cidr, 200)
  last   = cidrhost(metal_subnet.office.cidr, 219)
  kind   = "reserved"
}

resource "metal_subnet" "office6" {
  name   = "${var.name}-office6"
  fabric = metal_fabric.site.name
  vlan   = metal_vlan.office.vid
  cidr   = cidrsubnet(var.ipv6, 16, 10)
  domain = var.domain

  dhcp = {
    mode = "authoritative"
    ranges = [{
      first = cidrhost(cidrsubnet(var.ipv6, 16, 10), 4096)
      last  = cidrhost(cidrsubnet(var.ipv6, 16, 10), 8191)
    }]
  }
}

resource "metal_subnet" "servers" {
  name    = "${var.name}-servers"
  fabric  = metal_fabric.site.name
  vlan    = metal_vlan.servers.vid
  cidr    = cidrsubnet(var.ipv4, 8, 20)
  gateway = cidrhost(cidrsubnet(var.ipv4, 8, 20), 1)
  domain  = var.domain

  dhcp = { mode = "authoritative" }
}

# The servers reach the office past the firewall.
resource "metal_static_route" "office" {
  name        = "${var.name}-servers-to-office"
  subnet      = metal_subnet.servers.name
  destination = metal_subnet.office.cidr
  gateway     = cidrhost(metal_subnet.servers.cidr, 2)
}

# A client that always gets the same address, and a name.
resource "metal_ip_reservation" "printer" {
  name     = "${var.name}-printer"
  subnet   = metal_subnet.office.name
  mac      = "52:54:00:0f:f1:01"
  hostname = "printer"
}

# A switch: an address that is told nobody else, and its name.
resource "metal_device" "switch" {
  name        = "${var.name}-tor-1"
  description = "Top of rack 1"

  interfaces = [
    { mac = "52:54:00:0f:f1:02", subnet = metal_subnet.servers.name, address = cidrhost(metal_subnet.servers.cidr, 11) },
  ]
}

# Names that belong to no machine.
resource "metal_dns_zone" "site" {
  name = var.domain
  ttl  = 300
}

resource "metal_dns_record" "intranet" {
  zone   = metal_dns_zone.site.name
  name   = "intranet"
  type   = "CNAME"
  values = ["printer"]
}

resource "metal_dns_record" "mail" {
  zone   = metal_dns_zone.site.name
  name   = "@"
  type   = "MX"
  values = ["10 mail.example.net."]
}

resource "metal_dns_record" "spf" {
  zone   = metal_dns_zone.site.name
  name   = "@"
  type   = "TXT"
  values = ["\"v=spf1 mx -all\""]
}

data "metal_subnet_addresses" "office" {
  subnet     = metal_subnet.office.name
  free_only  = true
  depends_on = [metal_ip_range.office, metal_ip_range.phones, metal_ip_reservation.printer]
}
