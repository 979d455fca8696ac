output "machine_id" {
  description = "Id of the machine."
  value       = metal_allocation.this.machine_id
}

output "machine" {
  description = "Name of the machine."
  value       = metal_allocation.this.machine
}

output "address" {
  description = "IP address of the machine; null when it has none."
  value       = try(metal_deployment.this.addresses[0], null)
}

output "fqdn" {
  description = "The DNS name that answers for the machine."
  value       = metal_deployment.this.fqdn
}

output "ssh_host_keys" {
  description = "Public host keys that the system reported."
  value       = metal_deployment.this.ssh_host_keys
}
