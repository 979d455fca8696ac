terraform import metal_device.switch tor-1
