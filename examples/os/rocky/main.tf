# Rocky Linux; AlmaLinux and CentOS Stream publish the same kind of image. "Base" is one file system, "LVM" a volume group.
variable "image_source" {
  type    = string
  default = "https://dl.rockylinux.org/pub/rocky/9/images/x86_64/Rocky-9-GenericCloud-Base.latest.x86_64.qcow2"
}

resource "metal_image" "this" {
  name    = "rocky"
  source  = var.image_source
  os      = "rocky"
  version = "9"
  reports = true
}

resource "metal_allocation" "this" {
  name = "os-rocky"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = metal_image.this.name
  hostname   = "rocky"
  user_data  = <<-EOT
    #cloud-config
    packages: [chrony]
  EOT
}

output "address" {
  value = metal_deployment.this.addresses[0]
}
