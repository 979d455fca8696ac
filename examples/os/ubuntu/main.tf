# Ubuntu: the cloud image has the kernel for virtual machines. A server whose disks or NICs need more drivers gets the
# generic kernel on its first boot, where the network works without, or an image that was built with it.
variable "image_source" {
  type    = string
  default = "https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img"
}

resource "metal_image" "this" {
  name    = "ubuntu"
  source  = var.image_source
  os      = "ubuntu"
  version = "24.04"
  reports = true
}

resource "metal_allocation" "this" {
  name = "os-ubuntu"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = metal_image.this.name
  hostname   = "ubuntu"
  user_data  = <<-EOT
    #cloud-config
    packages: [linux-generic]
    power_state: {mode: reboot, condition: true}
  EOT
}

output "address" {
  value = metal_deployment.this.addresses[0]
}
