data "metal_vlans" "hall2" {
  fabric = "hall2"
}
