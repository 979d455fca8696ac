# Subvolumes for root and /home on the disk with this serial number.
resource "metal_allocation" "this" {
  name = "storage-btrfs"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout = "btrfs"
    disk   = { serial = "S4XANX0N123456" }
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
