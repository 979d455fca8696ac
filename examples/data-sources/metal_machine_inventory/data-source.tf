data "metal_machine_inventory" "db1" {
  machine_id = "db1"
}

output "switch_ports" {
  value = { for n in data.metal_machine_inventory.db1.inventory.nics : n.name => try("${n.lldp.system} ${n.lldp.port}", "unknown") }
}
