variable "name" {
  description = "What the names of everything begin with."
  type        = string
  default     = "site"
}

variable "ipv4" {
  description = "Network that the site's IPv4 subnets are cut from, a /16."
  type        = string
  default     = "10.40.0.0/16"
}

variable "ipv6" {
  description = "Network that the site's IPv6 subnets are cut from, a /48."
  type        = string
  default     = "fd40::/48"
}

variable "domain" {
  description = "DNS domain of the site."
  type        = string
  default     = "site.example.net"
}
