# Written out: the system on one disk, and a mirror of two others for data that survives redeployments.
resource "metal_allocation" "this" {
  name = "storage-custom"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout = "custom"

    disks = [
      { name = "system", rule = { kind = "ssd", pick = "smallest" } },
      { name = "left", rule = { kind = "hdd", pick = "largest" } },
      { name = "right", rule = { kind = "hdd", pick = "largest" } },
    ]
    partitions = [
      { name = "root", disk = "system", size = "30GiB" },
      { name = "scratch", disk = "system", size = "rest" },
      { name = "data-left", disk = "left", size = "rest" },
      { name = "data-right", disk = "right", size = "rest" },
    ]
    raids = [
      { name = "data", level = 1, devices = ["data-left", "data-right"] },
    ]
    filesystems = [
      { device = "root", mount = "/" },
      { device = "scratch", type = "xfs", mount = "/var/tmp", mount_options = ["nodev", "nosuid"] },
      { device = "data", mount = "/srv", preserve = true },
    ]
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
