data "metal_vlan" "storage" {
  name = "storage"
}
