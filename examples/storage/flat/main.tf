# One partition for root on the smallest SSD, and swap. What the firmware needs is made by itself.
resource "metal_allocation" "this" {
  name = "storage-flat"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"

  storage = {
    layout = "flat"
    swap   = "4GiB"
    disk = {
      kind = "ssd"
      pick = "smallest"
    }
  }
}

output "layout" {
  value = metal_deployment.this.storage_plan
}
