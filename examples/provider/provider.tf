terraform {
  required_version = ">= 1.11"
  required_providers {
    metal = {
      source = "metalform/metal"
    }
  }
}

# The address, the token and the certificate authority can also come from METAL_URL, METAL_TOKEN and METAL_CA_FILE, or
# from `metalctl login`: then the block is empty.
provider "metal" {
  url     = "https://metal.example.net:7443"
  token   = var.metal_token
  ca_file = "${path.module}/metal-ca.pem"
}

variable "metal_token" {
  description = "Bearer token of the API, as `metalctl token create` prints it."
  type        = string
  sensitive   = true
  ephemeral   = true
}
