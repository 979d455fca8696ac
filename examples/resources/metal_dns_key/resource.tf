variable "transfer_secret" {
  type      = string
  sensitive = true
  ephemeral = true
}

resource "metal_dns_key" "transfer" {
  name              = "transfer-key"
  secret_wo         = var.transfer_secret
  secret_wo_version = 1
}

# Whoever signs with the key may copy the zone, from wherever.
resource "metal_dns_zone" "signed" {
  name = "signed.example.net"

  transfer = {
    keys = [metal_dns_key.transfer.name]
  }
}
