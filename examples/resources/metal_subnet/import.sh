terraform import metal_subnet.rack2 rack2
