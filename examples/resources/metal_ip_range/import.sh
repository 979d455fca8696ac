terraform import metal_ip_range.guests guests
