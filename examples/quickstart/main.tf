# From bare machines to a system that you can log in to. README.md says what to fill in.

terraform {
  required_version = ">= 1.11"
  required_providers {
    metal = {
      source = "metalform/metal"
    }
  }
}

provider "metal" {} # METAL_URL, METAL_TOKEN and METAL_CA_FILE, or `metalctl login`

# metald made this subnet at its first start, of the network on its interface. Declaring it takes it over.
resource "metal_subnet" "rack" {
  name    = "default"
  cidr    = var.cidr
  gateway = var.gateway

  dhcp = {
    mode   = "authoritative"
    ranges = [{ first = cidrhost(var.cidr, 200), last = cidrhost(var.cidr, 249) }]
  }
}

resource "metal_pool" "rack" {
  name        = "rack"
  description = "Machines of the quickstart"
}

resource "metal_image" "system" {
  for_each = var.images

  name    = each.key
  file    = each.value
  reports = var.image_reports
}

resource "metal_ssh_key" "me" {
  name       = "me"
  public_key = var.ssh_public_key
}

# n1 was switched on by hand and has enlisted itself: it is adopted by its MAC address.
resource "metal_machine" "n1" {
  name = "n1"
  macs = [var.n1.mac]
  pool = metal_pool.rack.name
  tags = ["first"]

  bmc = var.n1.bmc == null ? null : {
    type                = var.n1.bmc.type
    address             = var.n1.bmc.address
    username            = var.n1.bmc.username
    tls                 = { insecure = var.n1.bmc.tls_insecure }
    password_wo         = var.bmc_passwords["n1"]
    password_wo_version = var.bmc_passwords_version
  }

  depends_on = [metal_subnet.rack]
}

# n2 is declared before it has ever booted: the server switches it on by its BMC.
resource "metal_machine" "n2" {
  name = "n2"
  macs = [var.n2.mac]
  pool = metal_pool.rack.name

  bmc = {
    type                = var.n2.bmc.type
    address             = var.n2.bmc.address
    username            = var.n2.bmc.username
    tls                 = { insecure = var.n2.bmc.tls_insecure }
    password_wo         = var.bmc_passwords["n2"]
    password_wo_version = var.bmc_passwords_version
  }

  depends_on = [metal_subnet.rack]
}

# A claim on one of the two. Which one, the constraints say, or the server.
resource "metal_allocation" "web" {
  name        = "web"
  pool        = metal_pool.rack.name
  constraints = { tags = ["first"] }

  depends_on = [metal_machine.n1, metal_machine.n2]
}

resource "metal_deployment" "web" {
  machine_id = metal_allocation.web.machine_id
  image      = metal_image.system[var.image].name
  hostname   = "web"
  ssh_keys   = [metal_ssh_key.me.name]

  user_data = <<-EOT
    #cloud-config
    write_files:
      - path: /etc/motd
        content: |
          Installed by Metalform.
  EOT
}
