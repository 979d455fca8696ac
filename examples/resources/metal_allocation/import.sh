# By its id or its name.
terraform import metal_allocation.db a-7c1m5t2w9q3z
terraform import metal_allocation.db name:shop-db
