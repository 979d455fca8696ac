data "metal_ip_range" "guests" {
  name = "guests"
}
