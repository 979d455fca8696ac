terraform import metal_space.internal internal
