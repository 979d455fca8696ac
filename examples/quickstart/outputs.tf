output "address" {
  description = "IP address of the machine that was deployed."
  value       = metal_deployment.web.addresses[0]
}

output "ssh" {
  description = "How to log in."
  value       = "ssh ${var.ssh_user}@${metal_deployment.web.addresses[0]}"
}

output "machine" {
  description = "Name of the machine that was taken."
  value       = metal_allocation.web.machine
}
