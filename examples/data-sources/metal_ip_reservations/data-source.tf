data "metal_ip_reservations" "lab" {
  subnet = "lab"
}
