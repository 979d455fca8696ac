terraform import metal_ssh_key.ops ops
