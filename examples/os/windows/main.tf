# Windows Server: there is no image to download. One is made once, of the evaluation or volume media, with the drivers of
# the servers, cloudbase-init and sysprep; the "ddgz" output of packer is a disk in gzip, and is taken as it is.
# cloudbase-init reads the seed with metadata_services=cloudbaseinit.metadata.services.nocloudservice.NoCloudConfigDriveService
# and config_drive_types=vfat in its configuration. It does not call back, so the deployment ends when the machine starts.
variable "image_source" {
  type    = string
  default = "/srv/images/windows-server-2025.dd.gz"
}

resource "metal_image" "this" {
  name    = "windows"
  source  = var.image_source
  os      = "windows"
  version = "2025"
  boot    = ["uefi", "bios"]
}

resource "metal_allocation" "this" {
  name = "os-windows"
}

resource "metal_deployment" "this" {
  machine_id = metal_allocation.this.machine_id
  image      = metal_image.this.name
  hostname   = "win1"
  network    = { mode = "dhcp" }

  user_data = <<-EOT
    #ps1_sysnative
    Set-TimeZone -Id UTC
  EOT
}

output "address" {
  value = metal_deployment.this.addresses[0]
}
