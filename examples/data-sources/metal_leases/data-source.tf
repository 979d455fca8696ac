data "metal_leases" "office" {
  subnet = "office"
}

# Who is on the network that nobody declared?
output "strangers" {
  value = { for l in data.metal_leases.office.leases : l.address => coalesce(l.hostname, l.mac, l.client_id) }
}
