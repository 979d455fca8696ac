data "metal_ip_ranges" "office" {
  subnet = "office"
  kind   = "dynamic"
}
