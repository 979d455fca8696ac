terraform import metal_static_route.storage floor-to-storage
