variable "aws_region" {
  description = "AWS region in which machines are launched"
  type        = string
  default     = "us-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-\\d$", var.aws_region))
    error_message = "Give a region such as us-west-2."
  }
}

variable "deployment_name" {
  description = "As the platform's own: begins all names, and is the tag Deployment"
  type        = string
  default     = "openclaw"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,17}$", var.deployment_name))
    error_message = "Give at most 18 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "architecture" {
  description = "Processor architecture of user instances: x86_64, or arm64"
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Give x86_64 or arm64."
  }
}

variable "gateway_image" {
  description = "The gateway's image in ECR by its digest, to be on the disk already; empty for Docker alone"
  type        = string
  default     = ""

  validation {
    condition     = var.gateway_image == "" || can(regex("^[0-9a-z.-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.gateway_image))
    error_message = "Give an address such as 123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw@sha256:0123…, or nothing."
  }
}

variable "root_volume_gib" {
  description = "Size of the image's disk; at most the platform's root_volume_gib"
  type        = number
  default     = 8

  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 1000
    error_message = "Give 8 to 1000; Amazon Linux 2023 takes 8."
  }
}

variable "subnet_id" {
  description = "Where the image is built: a subnet whose machines reach the internet; empty for the default VPC"
  type        = string
  default     = ""

  validation {
    condition     = var.subnet_id == "" || can(regex("^subnet-[0-9a-f]+$", var.subnet_id))
    error_message = "Give a subnet such as subnet-0123456789abcdef0, or nothing."
  }
}

variable "security_group_id" {
  description = "With subnet_id: a group that lets the building machine out; nothing has to get in"
  type        = string
  default     = ""

  validation {
    condition     = (var.subnet_id == "") == (var.security_group_id == "")
    error_message = "security_group_id goes with subnet_id."
  }
}
