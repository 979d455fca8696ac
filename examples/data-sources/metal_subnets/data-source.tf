data "metal_subnets" "untagged" {
  vlan = 0
}
