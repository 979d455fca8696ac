variable "root_password_hash" {
  type      = string
  ephemeral = true
  sensitive = true
  default   = "$6$salt$hash"
}

# Every machine that nobody declared becomes a Debian when it boots from the network.
resource "metal_boot_profile" "debian" {
  name    = "debian-12"
  unknown = true

  kernel = {
    source = "https://images.example.net/debian-12/netboot/linux"
    sha256 = "53f03f1d8b1d8f6f0a2ef6cbf4a8d0d4e7fa5a0ad7c4d0bdbb0cc6d8e7c3a8f1"
  }
  initrds = [{
    source = "https://images.example.net/debian-12/netboot/initrd.gz"
    sha256 = "e2f60b9a8bbf0b04f7d7a6e3d0b27d50a4a4fbbb0c98f7f0bd2f6e9c6f3b1c02"
  }]
  command_line = "auto=true priority=critical interface=auto BOOTIF=01-{{.MAC}} netcfg/hostname={{.Name}} netcfg/get_domain={{.Domain}} netcfg/no_default_route=true {{with .DNS}}netcfg/get_nameservers={{index . 0}}{{end}} url={{.Files}}preseed.cfg"
  answers = [{
    name    = "preseed.cfg"
    content = <<-EOT
      d-i partman-auto/disk string {{.Var.disk}}
      d-i passwd/root-password-crypted password {{.Secret.password_hash}}
      d-i preseed/late_command string wget -q -O /dev/null {{.Done}}
    EOT
  }]
  variables  = { disk = "/dev/sda" }
  secrets_wo = { password_hash = var.root_password_hash }
}
