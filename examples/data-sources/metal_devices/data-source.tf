data "metal_devices" "switches" {
  name_prefix = "tor-"
}
