data "metal_ip_reservation" "scope" {
  name = "oscilloscope"
}

output "scope" {
  value = data.metal_ip_reservation.scope.address
}
