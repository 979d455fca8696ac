# Red Hat Enterprise Linux: the "KVM guest image" of the customer portal, which needs a login. It is put on the server,
# below a directory of images.directories.
variable "image_source" {
  type    = string
  default = "/srv/images/rhel-9.6-x86_64-kvm.qcow2"
}

variable "organisation" {
  type    = string
  default = "1234567"
}

variable "activation_key" {
  type      = string
  sensitive = true
  ephemeral = true
  default   = "servers"
}

resource "metal_image" "this" {
  name    = "rhel"
  source  = var.image_source
  os      = "rhel"
  version = "9.6"
  reports = true
}

resource "metal_allocation" "this" {
  name = "os-rhel"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = metal_image.this.name
  hostname   = "rhel"

  # Neither in the plan nor in the state: the server keeps it sealed.
  user_data_wo         = <<-EOT
    #cloud-config
    rh_subscription:
      org: "${var.organisation}"
      activation-key: "${var.activation_key}"
  EOT
  user_data_wo_version = 1
}

output "address" {
  value = metal_deployment.this.addresses[0]
}
