data "metal_deployment" "db" {
  machine_id = "db1"
}
