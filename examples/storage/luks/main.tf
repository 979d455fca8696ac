# Everything but /boot is encrypted. The machine's TPM opens it; the key does otherwise.
variable "disk_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

resource "metal_allocation" "this" {
  name        = "storage-luks"
  constraints = { boot_mode = "uefi" }
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout = "lvm"
    swap   = "4GiB"
    disk   = { pick = "smallest" }

    encryption = {
      tpm2           = true
      key_wo         = var.disk_key
      key_wo_version = 1
    }
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
