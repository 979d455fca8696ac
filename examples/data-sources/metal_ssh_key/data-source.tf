data "metal_ssh_key" "ops" {
  name = "ops"
}
