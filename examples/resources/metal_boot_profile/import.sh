terraform import metal_boot_profile.debian debian-12
