# Static addresses of both families beside the machine's own, and a route.
resource "metal_allocation" "this" {
  name = "network-dual-stack"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = "debian-13"

  network = {
    interfaces = [{
      mac       = "52:54:00:12:34:56"
      name      = "lan"
      addresses = ["198.51.100.7/24", "2001:db8:40::7/64"]
      accept_ra = false
      routes = [
        { to = "198.18.0.0/15", via = "198.51.100.1" },
        { to = "::/0", via = "2001:db8:40::1", metric = 200 },
      ]
      dns    = ["2001:db8:40::53"]
      search = ["example.net"]
    }]
  }
}
