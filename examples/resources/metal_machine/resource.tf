variable "bmc_password" {
  description = "Password of the BMCs. Ephemeral: it is in no plan and no state."
  type        = string
  ephemeral   = true
}

# A machine that was declared before it ever booted: the server switches it on by its BMC.
resource "metal_machine" "db1" {
  name = "db1"
  macs = ["52:54:00:12:34:56"]
  zone = "rack2"
  tags = ["nvme"]

  bmc = {
    type                = "redfish"
    address             = "https://10.20.255.11"
    username            = "metal"
    password_wo         = var.bmc_password
    password_wo_version = 1 # another number sends the password again
    tls                 = { insecure = true }
  }

  deletion_protection = true
}

# A machine that has booted from the network and enlisted itself is adopted: its MAC address is enough.
resource "metal_machine" "web1" {
  name = "web1"
  macs = ["52-54-00-12-34-57"]
}
