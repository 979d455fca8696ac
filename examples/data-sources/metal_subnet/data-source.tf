data "metal_subnet" "rack2" {
  name = "rack2"
}

output "free_addresses" {
  value = data.metal_subnet.rack2.free
}
