data "metal_erase_certificates" "node_1" {
  machine = "node-1"
}

data "metal_erase_certificate" "node_1" {
  for_each = toset(data.metal_erase_certificates.node_1.erase_certificates[*].id)
  id       = each.key
}

# What an auditor gets: it can be checked without the server, with any library that reads JWS.
output "proofs" {
  value = { for id, c in data.metal_erase_certificate.node_1 : id => { jws = c.jws, key = c.key } }
}
