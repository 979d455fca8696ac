data "metal_spaces" "all" {}
