variable "name" {
  description = "Begins the names of everything"
  type        = string
}

variable "vpc_id" {
  description = "Where the database is"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in at least two zones"
  type        = list(string)
}

variable "client_group_id" {
  description = "The security group that may connect"
  type        = string
}

variable "instance_class" {
  description = "RDS instance class"
  type        = string
}

variable "multi_az" {
  description = "Whether there is a second machine in another zone"
  type        = bool
}

variable "backup_days" {
  description = "How many days the database can be set back"
  type        = number
}

variable "deletion_protection" {
  description = "Whether it refuses to be deleted, and leaves a last snapshot"
  type        = bool
}

variable "log_retention_days" {
  description = "How long its log is kept"
  type        = number
}
