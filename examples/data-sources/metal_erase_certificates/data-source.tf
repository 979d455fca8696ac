data "metal_erase_certificates" "all" {}

# Which disks were wiped, how, and what reading back proved.
output "wiped" {
  value = flatten([for c in data.metal_erase_certificates.all.erase_certificates : [
    for d in c.disks : "${c.certified_at} ${c.machine} ${d.name}: ${d.method}, ${coalesce(d.result, "unknown")}"
  ]])
}
