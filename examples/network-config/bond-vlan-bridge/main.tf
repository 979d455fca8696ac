# Two NICs as one link with LACP, a tagged network for storage, and a bridge for virtual machines on another one.
resource "metal_allocation" "this" {
  name        = "network-bond-vlan-bridge"
  constraints = { min_nics = 2 }
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13"

  network = {
    interfaces = [{ nic = "eno2" }]
    bonds = [{
      name       = "bond0"
      interfaces = ["boot0", "eno2"]
      mode       = "802.3ad"
      lacp_rate  = "fast"
      primary    = true
    }]
    vlans = [
      { name = "storage", id = 40, link = "bond0", subnets = ["storage"], mtu = 9000 },
      { name = "guests", id = 50, link = "bond0" },
    ]
    bridges = [{ name = "br-guests", interfaces = ["guests"] }]
  }
}

output "addresses" {
  value = metal_deployment.this.addresses
}
