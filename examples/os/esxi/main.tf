# VMware ESXi installs itself. The files of its ISO are served by a web server; mboot.efi, the ISO's efi/boot/bootx64.efi,
# is what the machine starts. boot.cfg is the ISO's, with prefix= and kernelopt= changed.
variable "mboot" {
  type = object({ source = string, sha256 = string })
  default = {
    source = "https://images.example.net/esxi-8/efi/boot/bootx64.efi"
    sha256 = "53f03f1d8b1d8f6f0a2ef6cbf4a8d0d4e7fa5a0ad7c4d0bdbb0cc6d8e7c3a8f1"
  }
}

variable "modules" {
  description = "The line modules= of the ISO's boot.cfg, without its slashes."
  type        = string
  default     = "jumpstrt.gz --- useropts.gz --- features.gz --- k.b00"
}

variable "root_password_hash" {
  type      = string
  sensitive = true
  ephemeral = true
  default   = "$6$salt$hash"
}

resource "metal_boot_profile" "this" {
  name         = "esxi-8"
  tags         = ["esxi"]
  kernel       = var.mboot
  command_line = "-c {{.Files}}boot.cfg"
  variables    = { files = "https://images.example.net/esxi-8", modules = var.modules }
  secrets_wo   = { password_hash = var.root_password_hash }

  answers = [
    {
      name    = "boot.cfg"
      content = <<-EOT
        bootstate=0
        title=Loading ESXi installer
        timeout=1
        prefix={{.Var.files}}
        kernel=b.b00
        kernelopt=ks={{.Files}}ks.cfg
        modules={{.Var.modules}}
        build=
        updated=0
      EOT
    },
    {
      name    = "ks.cfg"
      content = <<-EOT
        vmaccepteula
        rootpw --iscrypted {{.Secret.password_hash}}
        install --firstdisk --overwritevmfs
        network --bootproto=dhcp --device=vmnic0 --hostname={{.FQDN}}
        reboot
        %post --interpreter=busybox
        wget -q -O /dev/null '{{.Done}}'
      EOT
    },
  ]
}
