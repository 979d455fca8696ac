# Fetched by the server, and verified.
resource "metal_image" "debian" {
  name    = "debian-13"
  source  = "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2"
  os      = "debian"
  reports = true # cloud-init inside calls back when it is up
}

# Sent from the machine that runs Terraform, and sent again when the file's content changes.
resource "metal_image" "appliance" {
  name = "appliance"
  file = "${path.module}/appliance.raw.zst"
  boot = ["uefi"]
}
