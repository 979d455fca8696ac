data "metal_pool" "default" {
  name = "default"
}

output "free" {
  value = data.metal_pool.default.ready
}
