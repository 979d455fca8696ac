# The system runs from memory; the disks stay as they are. When the machine starts again, the same system is put there anew.
resource "metal_allocation" "this" {
  name        = "storage-memory"
  constraints = { min_memory_bytes = 8 * 1024 * 1024 * 1024 }
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13-root"
  boot       = "memory"
}

output "addresses" {
  value = metal_deployment.this.addresses
}
