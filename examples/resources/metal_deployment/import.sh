# By its id, or by the machine that it runs on.
terraform import metal_deployment.web d-2k8v4b6n1h5j
terraform import metal_deployment.web name:web1
