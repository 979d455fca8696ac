# By its id, or by what is written on the machine.
terraform import metal_machine.db1 m-4f7q2c9d1x8k
terraform import metal_machine.db1 name:db1
terraform import metal_machine.db1 mac:52:54:00:12:34:56
terraform import metal_machine.db1 serial:CZ12345678
terraform import metal_machine.db1 uuid:4c4c4544-0042-3510-8051-b4c04f564432
