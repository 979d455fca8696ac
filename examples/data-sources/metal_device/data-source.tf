data "metal_device" "switch" {
  name = "tor-1"
}

output "switch" {
  value = data.metal_device.switch.addresses[0].address
}
