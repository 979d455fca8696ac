terraform import metal_fabric.hall2 hall2
