resource "metal_allocation" "web" {
  name = "shop-web"
}

resource "metal_image" "debian" {
  name    = "debian-13"
  source  = "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2"
  reports = true
}

resource "metal_deployment" "web" {
  machine_id = metal_allocation.web.machine_id
  image      = metal_image.debian.name
  hostname   = "web"
  ssh_keys   = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFmBm3lZSi6R4gkhYxw7sTOrzXXSfxS8HZ4QDxSFfBQ9 ops@example.net"]

  user_data = <<-EOT
    #cloud-config
    packages: [nginx]
  EOT

  # Another image under the same name redeploys; without this line, only another name does.
  redeploy_trigger = metal_image.debian.digest
}
