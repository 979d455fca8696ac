resource "metal_ssh_key" "ops" {
  name       = "ops"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFmBm3lZSi6R4gkhYxw7sTOrzXXSfxS8HZ4QDxSFfBQ9 ops@example.net"
}
