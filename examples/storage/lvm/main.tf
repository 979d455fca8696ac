# A volume group on the only NVMe disk: root, swap, and a volume whose data survives redeployments.
resource "metal_allocation" "this" {
  name = "storage-lvm"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout    = "lvm"
    root_size = "20GiB"
    swap      = "4GiB"
    disk      = { kind = "nvme" }

    logical_volumes = [
      { name = "data", volume_group = "system", size = "rest" },
    ]
    filesystems = [
      { device = "data", type = "xfs", mount = "/srv", preserve = true },
    ]
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
