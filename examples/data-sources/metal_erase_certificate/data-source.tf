data "metal_erase_certificates" "node_1" {
  machine = "node-1"
}

# The latest one: an error where the machine was never wiped.
data "metal_erase_certificate" "node_1" {
  id = reverse(data.metal_erase_certificates.node_1.erase_certificates)[0].id
}

# What an auditor gets: it can be checked without the server, with any library that reads JWS.
output "proof" {
  value = { jws = data.metal_erase_certificate.node_1.jws, key = data.metal_erase_certificate.node_1.key }
}
