# Four or more disks of a size, striped and mirrored. /boot is on a mirror over all of them.
resource "metal_allocation" "this" {
  name = "storage-raid10"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout     = "raid10"
    filesystem = "xfs"
    disk = {
      kind     = "hdd"
      min_size = "1TiB"
    }
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
