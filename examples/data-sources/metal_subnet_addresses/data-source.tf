data "metal_subnet_addresses" "free" {
  subnet    = "office"
  free_only = true
}
