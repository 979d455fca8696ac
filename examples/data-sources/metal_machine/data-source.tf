data "metal_machine" "db1" {
  mac = "52:54:00:12:34:56"
}
