data "metal_allocation" "db" {
  name = "shop-db"
}
