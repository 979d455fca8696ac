terraform import metal_pool.web web
