# Root on a mirror of two disks of one model. Each disk has a boot loader: the machine starts from either.
resource "metal_allocation" "this" {
  name = "storage-raid1"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout = "raid1"
    swap   = "2GiB"
    disk = {
      model = "*PM883*"
      count = 2
    }
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
