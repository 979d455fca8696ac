# Machines that enlisted themselves and that nobody has adopted yet.
data "metal_machines" "new" {
  state = "new"
}

output "new" {
  value = { for m in data.metal_machines.new.machines : m.id => m.macs[0] }
}
