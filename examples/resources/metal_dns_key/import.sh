terraform import metal_dns_key.transfer transfer-key
