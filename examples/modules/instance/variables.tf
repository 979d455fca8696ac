variable "name" {
  description = "Name of the claim, and of the system where hostname is not set."
  type        = string
}

variable "image" {
  description = "Name of the image to deploy."
  type        = string
}

variable "pool" {
  description = "Pool to take a machine from."
  type        = string
  default     = "default"
}

variable "constraints" {
  description = "What the machine must meet, as in metal_allocation."
  type = object({
    machine          = optional(string)
    arch             = optional(string)
    zone             = optional(string)
    boot_mode        = optional(string)
    min_cpus         = optional(number)
    min_memory_bytes = optional(number)
    min_disk_bytes   = optional(number)
    min_disks        = optional(number)
    min_nics         = optional(number)
    tags             = optional(set(string))
    not_tags         = optional(set(string))
    not_machines     = optional(set(string))
  })
  default = null
}

variable "erase" {
  description = "How far the disks are wiped when the instance is destroyed: none, quick, zero or secure."
  type        = string
  default     = "quick"
}

variable "wait_for_capacity" {
  description = "How long to wait for a machine when none matches now."
  type        = string
  default     = "0s"
}

variable "hostname" {
  description = "Host name of the system. Default: the name."
  type        = string
  default     = null
}

variable "ssh_keys" {
  description = "Who may log in: names of metal_ssh_key, or public keys."
  type        = set(string)
  default     = null
}

variable "user_data" {
  description = "cloud-init user data."
  type        = string
  default     = null
}

variable "redeploy_on" {
  description = "Fields whose change redeploys at once."
  type        = set(string)
  default     = ["image", "disk", "trigger"]
}

variable "redeploy_trigger" {
  description = "Any text: a change of it redeploys."
  type        = string
  default     = null
}

variable "redeploy_protection" {
  description = "Refuse every redeployment."
  type        = bool
  default     = false
}
