resource "metal_allocation" "db" {
  name = "shop-db"
  pool = "default"

  constraints = {
    arch             = "amd64"
    min_cpus         = 16
    min_memory_bytes = 64 * 1024 * 1024 * 1024
    tags             = ["nvme"]
  }

  release = { erase = "zero" }

  wait_for_capacity = "30m"
}
