data "metal_fabrics" "all" {}
