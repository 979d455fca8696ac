terraform import metal_image.debian debian-13
