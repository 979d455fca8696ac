# openSUSE Leap. SLES has the same image, "Minimal-VM ... Cloud", behind a login: put it below images.directories.
variable "image_source" {
  type    = string
  default = "https://download.opensuse.org/distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2"
}

resource "metal_image" "this" {
  name    = "suse"
  source  = var.image_source
  os      = "opensuse-leap"
  version = "15.6"
  reports = true
}

resource "metal_allocation" "this" {
  name = "os-suse"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = metal_image.this.name
  hostname   = "suse"
  user_data  = <<-EOT
    #cloud-config
    packages: [chrony]
  EOT
}

output "address" {
  value = metal_deployment.this.addresses[0]
}
