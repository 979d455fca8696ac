terraform {
  required_version = ">= 1.11"
  required_providers {
    metal = {
      source = "metalform/metal"
    }
  }
}

resource "metal_allocation" "this" {
  name              = var.name
  pool              = var.pool
  constraints       = var.constraints
  release           = { erase = var.erase }
  wait_for_capacity = var.wait_for_capacity
}

resource "metal_deployment" "this" {
  machine_id          = metal_allocation.this.machine_id
  image               = var.image
  hostname            = coalesce(var.hostname, var.name)
  ssh_keys            = var.ssh_keys
  user_data           = var.user_data
  redeploy_on         = var.redeploy_on
  redeploy_trigger    = var.redeploy_trigger
  redeploy_protection = var.redeploy_protection
}
