variable "cidr" {
  description = "Network that the machines boot on."
  type        = string
  default     = "10.20.0.0/24"
}

variable "gateway" {
  description = "Default router of that network; null for none."
  type        = string
  default     = null
}

variable "images" {
  description = "Images to offer: name and local file."
  type        = map(string)
}

variable "image" {
  description = "Name of the image to deploy, out of images. Another one is installed on the same machine."
  type        = string
}

variable "image_reports" {
  description = "The images run cloud-init, which calls back when the system is up."
  type        = bool
  default     = true
}

variable "ssh_public_key" {
  description = "Your public SSH key, as in ~/.ssh/id_ed25519.pub."
  type        = string
}

variable "ssh_user" {
  description = "Who logs in: root, or the image's default user."
  type        = string
  default     = "root"
}

variable "n1" {
  description = "The machine that enlisted itself: its MAC address, and its BMC where it has one."
  type = object({
    mac = string
    bmc = optional(object({
      type         = string
      address      = string
      username     = string
      tls_insecure = optional(bool, false)
    }))
  })
}

variable "n2" {
  description = "The machine that is declared first: its MAC address and its BMC."
  type = object({
    mac = string
    bmc = object({
      type         = string
      address      = string
      username     = string
      tls_insecure = optional(bool, false)
    })
  })
}

variable "bmc_passwords" {
  description = "Passwords of the BMCs, by the machine's name. They are in no plan and no state."
  type        = map(string)
  ephemeral   = true
}

variable "bmc_passwords_version" {
  description = "Any number: another one sends the passwords again."
  type        = number
  default     = 1
}
