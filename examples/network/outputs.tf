output "printer" {
  description = "Address and name of the printer."
  value       = "${metal_ip_reservation.printer.fqdn} is ${metal_ip_reservation.printer.address}"
}

output "switch" {
  description = "Addresses of the switch."
  value       = metal_device.switch.addresses[*].address
}

output "free" {
  description = "Runs of addresses that are left in the office."
  value       = [for a in data.metal_subnet_addresses.office.addresses : "${a.first} to ${a.last}"]
}
