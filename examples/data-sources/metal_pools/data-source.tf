data "metal_pools" "shop" {
  name_prefix = "shop-"
}
