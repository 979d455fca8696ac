terraform import metal_vlan.storage storage
