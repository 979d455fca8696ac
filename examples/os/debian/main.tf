# Debian: the "generic" image has the drivers of servers; "genericcloud" has those of virtual machines alone.
variable "image_source" {
  type    = string
  default = "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2"
}

resource "metal_image" "this" {
  name    = "debian"
  source  = var.image_source
  os      = "debian"
  version = "13"
  reports = true
}

resource "metal_allocation" "this" {
  name = "os-debian"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = metal_image.this.name
  hostname   = "debian"
  user_data  = <<-EOT
    #cloud-config
    packages: [chrony]
  EOT
}

output "address" {
  value = metal_deployment.this.addresses[0]
}
