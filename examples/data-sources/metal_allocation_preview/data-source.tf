data "metal_allocation_preview" "gpu" {
  constraints = { tags = ["gpu"] }
}

output "why_not" {
  value = { for m in data.metal_allocation_preview.gpu.others : m.machine => m.reasons }
}
