# --- machines ---

variable "user_instance_type" {
  description = "EC2 instance type for user instances"
  type        = string
  default     = "t3.small"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.user_instance_type))
    error_message = "Give an instance type such as t3.small."
  }

  validation {
    condition     = !can(regex("^([cm][134]|cc2|cr1|d2|f1|g[23]s?|h1|hs1|i[23]|m2|p[23]|r[34]|t[12]|x1e?)\\.", var.user_instance_type))
    error_message = "Give a type of the Nitro system such as t3.small: t2 and its contemporaries do not tell disks apart."
  }
}

variable "extra_instance_types" {
  description = "Other instance types in which capacity is looked for, of the same processor architecture as user_instance_type; other sizes only where there is none of its size"
  type        = list(string)
  default     = ["t3a.small", "t3.medium", "t3a.medium"]

  validation {
    condition     = alltrue([for type in var.extra_instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type))])
    error_message = "Give instance types such as t3a.small."
  }

  validation {
    condition     = !anytrue([for type in var.extra_instance_types : can(regex("^([cm][134]|cc2|cr1|d2|f1|g[23]s?|h1|hs1|i[23]|m2|p[23]|r[34]|t[12]|x1e?)\\.", type))])
    error_message = "Give types of the Nitro system such as t3a.small: t2 and its contemporaries do not tell disks apart."
  }
}

variable "pool_spare_count" {
  description = "Number of spare instances to keep ready"
  type        = number
  default     = 2

  validation {
    condition     = var.pool_spare_count >= 0 && var.pool_spare_count <= 1000 && floor(var.pool_spare_count) == var.pool_spare_count
    error_message = "Give a whole number from 0 to 1000."
  }
}

variable "pool_policy" {
  description = "fixed: pool_spare_count at all times. adaptive: as the platform learns of the hours of the week (docs/operations.md)"
  type        = string
  default     = "fixed"

  validation {
    condition     = contains(["fixed", "adaptive"], var.pool_policy)
    error_message = "Give fixed or adaptive."
  }
}

variable "pool_spare_most" {
  description = "The most spares that an adaptive pool keeps of itself, within fleet_cap"
  type        = number
  default     = 20

  validation {
    condition     = var.pool_spare_most >= 1 && var.pool_spare_most <= 1000 && floor(var.pool_spare_most) == var.pool_spare_most
    error_message = "Give a whole number from 1 to 1000."
  }
}

variable "pool_warmth" {
  description = "How far spares are brought: booted, or hot (OpenClaw runs and was asked once)"
  type        = string
  default     = "hot"

  validation {
    condition     = contains(["booted", "hot"], var.pool_warmth)
    error_message = "Give booted or hot."
  }
}

variable "fleet_cap" {
  description = "How many machines of users and spares there may be at most; an upper bound of what can be spent"
  type        = number
  default     = 50

  validation {
    condition     = var.fleet_cap >= 1 && var.fleet_cap <= 10000 && floor(var.fleet_cap) == var.fleet_cap
    error_message = "Give a whole number from 1 to 10000."
  }
}

variable "on_demand_fallback" {
  description = "Whether machines are launched on demand where there is no Spot capacity"
  type        = bool
  default     = false
}

variable "on_demand_replacements" {
  description = "Whether a machine that takes over a user's volume is launched on demand where its zone has no Spot capacity"
  type        = bool
  default     = true
}

variable "on_demand_spares" {
  description = "Whether machines are launched on demand always, which costs three times as much and is not interrupted"
  type        = bool
  default     = false
}

variable "spot_price_per_hour" {
  description = "What a machine costs on Spot, in US dollars an hour, for the platform's estimates; of t3.small unless set"
  type        = number
  default     = 0.006

  validation {
    condition     = var.spot_price_per_hour > 0
    error_message = "Give US dollars an hour, such as 0.006."
  }
}

variable "on_demand_price_per_hour" {
  description = "What a machine costs on demand, in US dollars an hour, for the platform's estimates; of t3.small unless set"
  type        = number
  default     = 0.0208

  validation {
    condition     = var.on_demand_price_per_hour > 0
    error_message = "Give US dollars an hour, such as 0.0208."
  }
}

variable "ami_id" {
  description = "Machine image of user instances, with Docker, curl, iptables and the SSM agent; empty for the newest Amazon Linux 2023"
  type        = string
  default     = ""

  validation {
    condition     = var.ami_id == "" || can(regex("^ami-[0-9a-f]+$", var.ami_id))
    error_message = "Give an image such as ami-0123456789abcdef0, or nothing."
  }
}

variable "architecture" {
  description = "Processor architecture of user instances: x86_64, or arm64 for types such as t4g.small. The gateway's image has to fit"
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Give x86_64 or arm64."
  }
}

variable "root_volume_gib" {
  description = "Size of a machine's root volume, which holds the system and the gateway's image"
  type        = number
  default     = 10

  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 1000
    error_message = "Give 8 to 1000; Amazon Linux 2023 takes 8."
  }
}

variable "data_volume_gib" {
  description = "Size of the volume that holds a user's data and outlives the machine"
  type        = number
  default     = 8

  validation {
    condition     = var.data_volume_gib >= 1 && var.data_volume_gib <= 16384
    error_message = "Give 1 to 16384."
  }
}

variable "gateway_image" {
  description = "Tag or digest (sha256:…) of the gateway's image in the repository. A digest lets spares start hot by themselves"
  type        = string
  default     = "latest"

  validation {
    condition     = can(regex("^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$", var.gateway_image))
    error_message = "Give a tag such as 2026.9.6, or a digest such as sha256:0123…"
  }
}

# --- the account ---

variable "aws_region" {
  description = "AWS region of everything"
  type        = string
  default     = "us-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-\\d$", var.aws_region))
    error_message = "Give a region such as us-west-2."
  }
}

variable "deployment_name" {
  description = "Begins the names of everything and is its tag Deployment: keeps two platforms of an account apart"
  type        = string
  default     = "openclaw"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,17}$", var.deployment_name)) && !endswith(var.deployment_name, "-")
    error_message = "Give at most 18 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "tags" {
  description = "Tags of everything that Terraform makes, beside Deployment"
  type        = map(string)
  default     = {}

  validation {
    condition     = !anytrue([for key in keys(var.tags) : contains(["Name", "Deployment", "Status"], key) || startswith(key, "aws:")])
    error_message = "Name, Deployment and Status are the platform's own tags."
  }

  # Machines read their tags at the metadata address, and EC2 launches none with a key that could not be asked for there.
  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[0-9A-Za-z_+=,.@:-]{1,128}$", key)) && !contains([".", "..", "_index"], key)])
    error_message = "Keys of tags are letters, digits and + - = . , _ : @ here: with a blank or a slash in one, EC2 launches no machine."
  }
}

variable "deletion_protection" {
  description = "Whether load balancers and the database refuse to be deleted, and a last snapshot of the database is kept"
  type        = bool
  default     = true
}

# --- network ---

variable "vpc_id" {
  description = "An existing VPC with DNS host names enabled; empty to make one"
  type        = string
  default     = ""

  validation {
    condition     = var.vpc_id == "" || can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "Give a VPC such as vpc-0123456789abcdef0, or nothing."
  }
}

variable "subnet_ids" {
  description = "Public subnets of vpc_id, in at least two zones, a zone each"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for subnet in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", subnet))])
    error_message = "Give subnets such as subnet-0123456789abcdef0."
  }

  validation {
    condition     = var.vpc_id == "" ? length(var.subnet_ids) == 0 : length(var.subnet_ids) >= 2
    error_message = "Give vpc_id together with two subnet_ids or more, or neither."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC that is made"
  type        = string
  default     = "10.80.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 15)) && try(tonumber(split("/", var.vpc_cidr)[1]), 32) <= 20
    error_message = "Give a network of /20 or larger, such as 10.80.0.0/16."
  }
}

variable "machine_addresses" {
  description = "How machines of users reach the world: ipv4, a public address each, for which AWS charges; or ipv6 alone, which costs nothing and reaches only what has IPv6 (docs/deploy.md)"
  type        = string
  default     = "ipv4"

  validation {
    condition     = contains(["ipv4", "ipv6"], var.machine_addresses)
    error_message = "Give ipv4 or ipv6."
  }
}

variable "availability_zones" {
  description = "Zones of the VPC that is made, two at least; a spare is held in whichever has capacity"
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.availability_zones) != 1 && length(distinct(var.availability_zones)) == length(var.availability_zones) && length(var.availability_zones) <= 8
    error_message = "Give two to eight different zones such as us-west-2a, or none for the first three of the region."
  }
}

# --- addresses ---

variable "load_balancer_count" {
  description = "How many load balancers there are. Each serves about 80 instances. 0: users reach the control plane's machine, which then gets its certificate itself (docs/deploy.md says what that gives up). Raise it, and never lower it but to 0: ids hold the number of theirs"
  type        = number
  default     = 1

  validation {
    condition     = var.load_balancer_count >= 0 && var.load_balancer_count <= 10 && floor(var.load_balancer_count) == var.load_balancer_count
    error_message = "Give a whole number from 0 to 10."
  }
}

variable "shard_capacity" {
  description = "How many routes are put on one load balancer, of the 100 target groups that it takes"
  type        = number
  default     = 80

  validation {
    condition     = var.shard_capacity >= 1 && var.shard_capacity <= 95
    error_message = "Give 1 to 95: spares, replacements and the platform's own group need room."
  }
}

variable "certificate_arn" {
  description = "ACM certificate for HTTPS, valid for all domain_names, and for *.instance_domain with routing host; empty for HTTP, for a trial"
  type        = string
  default     = ""

  validation {
    condition     = var.certificate_arn == "" || can(regex("^arn:aws[\\w-]*:acm:[\\w-]+:\\d{12}:certificate/[\\w-]+$", var.certificate_arn))
    error_message = "Give the ARN of a certificate in ACM, in the same region."
  }

  validation {
    condition     = var.certificate_arn == "" || var.load_balancer_count > 0
    error_message = "ACM's certificates are for load balancers. With load_balancer_count = 0 leave it out: the platform gets one for domain_names itself."
  }
}

variable "domain_names" {
  description = "Host name of each load balancer, in their order; the first is the platform's. Without a load balancer one name, for which HTTPS is turned on. Empty for AWS's own names or the bare address, which no certificate covers"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.domain_names : can(regex("^[a-z0-9.-]+\\.[a-z]+$", name))])
    error_message = "Give host names such as claw.example.com."
  }

  validation {
    condition     = length(var.domain_names) == 0 || length(var.domain_names) == max(1, var.load_balancer_count)
    error_message = "Give one name for each load balancer, one without any, or none."
  }

  validation {
    condition     = var.certificate_arn == "" || length(var.domain_names) > 0
    error_message = "A certificate needs domain_names: AWS's own names are not yours to certify."
  }
}

variable "hosted_zone_id" {
  description = "Route 53 zone in which domain_names, and *.instance_domain with routing host, are pointed at the load balancers or the control plane's address; empty to do that yourself"
  type        = string
  default     = ""

  validation {
    condition     = var.hosted_zone_id == "" || can(regex("^Z[A-Z0-9]+$", var.hosted_zone_id))
    error_message = "Give a zone id such as Z0123456789ABCDEFGHIJ, or nothing."
  }
}

variable "routing" {
  description = "How an address names an instance: path (/oc-…/), or host (a browser origin for each user; needs a wildcard certificate and one load balancer)"
  type        = string
  default     = "path"

  validation {
    condition     = contains(["path", "host"], var.routing)
    error_message = "Give path or host."
  }

  validation {
    condition     = var.routing == "path" || var.load_balancer_count == 1
    error_message = "One wildcard name leads to one load balancer: routing = \"host\" takes load_balancer_count = 1."
  }
}

variable "instance_domain" {
  description = "With routing host: instances answer at ID.instance_domain"
  type        = string
  default     = ""

  validation {
    condition     = (var.routing == "host") == (var.instance_domain != "")
    error_message = "instance_domain goes with routing = \"host\"."
  }
}

variable "otlp_endpoint" {
  description = "Where the platform sends metrics and traces by OpenTelemetry (OTLP over HTTP), such as https://otlp.example.com; \"\" for nowhere. Put headers with a key into settings_secret"
  type        = string
  default     = ""

  validation {
    condition     = var.otlp_endpoint == "" || can(regex("^https?://[A-Za-z0-9.:\\[\\]-]+(/[A-Za-z0-9._~/-]*)?$", var.otlp_endpoint))
    error_message = "Give an address such as http://collector.internal:4318, without a user name, a password or a query. Keys belong into settings_secret, as OTEL_EXPORTER_OTLP_HEADERS."
  }
}

variable "settings_secret" {
  description = "The ARN of a secret of yours with settings that are secrets themselves, a line NAME=value each, such as SMTP_URL, ALARM_TELEGRAM_TOKEN and OTEL_EXPORTER_OTLP_HEADERS; \"\" for none. Restart the control plane after a change"
  type        = string
  default     = ""

  validation {
    condition     = var.settings_secret == "" || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", var.settings_secret))
    error_message = "Give the whole ARN of the secret: aws secretsmanager describe-secret --secret-id NAME --query ARN."
  }
}

variable "archives_bucket" {
  description = "An S3 bucket of yours through which users download archives of their instances, and import them; \"\" for neither. docs/archives.md says what it needs"
  type        = string
  default     = ""

  validation {
    condition     = var.archives_bucket == "" || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.archives_bucket))
    error_message = "Give the name of a bucket, not its ARN or address."
  }
}

variable "idle_timeout_seconds" {
  description = "After how long without a byte the load balancer closes a connection; WebSockets of open pages need long ones"
  type        = number
  default     = 3600

  validation {
    condition     = var.idle_timeout_seconds >= 60 && var.idle_timeout_seconds <= 4000
    error_message = "Give 60 to 4000."
  }
}

# --- the control plane ---

variable "control_plane_instance_type" {
  description = "EC2 instance type of the control plane's machine; x86_64, as its image"
  type        = string
  default     = "t3.small"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.control_plane_instance_type))
    error_message = "Give an instance type such as t3.small."
  }
}

variable "control_plane_ami_id" {
  description = "Machine image of the control plane, an Amazon Linux 2023; empty for the newest"
  type        = string
  default     = ""

  validation {
    condition     = var.control_plane_ami_id == "" || can(regex("^ami-[0-9a-f]+$", var.control_plane_ami_id))
    error_message = "Give an image such as ami-0123456789abcdef0, or nothing."
  }
}

variable "control_plane_image" {
  description = "Tag or digest (sha256:…) of the control plane's image in its repository"
  type        = string
  default     = "latest"

  validation {
    condition     = can(regex("^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$", var.control_plane_image))
    error_message = "Give a tag such as 0.2.0, or a digest such as sha256:0123…"
  }
}

variable "database" {
  description = "postgres: RDS with backups. sqlite: a file on a volume of the control plane's own, for a trial"
  type        = string
  default     = "postgres"

  validation {
    condition     = contains(["postgres", "sqlite"], var.database)
    error_message = "Give postgres or sqlite."
  }
}

variable "database_instance_class" {
  description = "RDS instance class"
  type        = string
  default     = "db.t4g.micro"

  validation {
    condition     = startswith(var.database_instance_class, "db.")
    error_message = "Give a class such as db.t4g.micro."
  }
}

variable "database_multi_az" {
  description = "Whether the database has a second machine in another zone, which doubles its cost"
  type        = bool
  default     = false
}

variable "database_backup_days" {
  description = "How many days the database can be set back; the longest is 35"
  type        = number
  default     = 14

  validation {
    condition     = var.database_backup_days >= 1 && var.database_backup_days <= 35
    error_message = "Give 1 to 35: a platform without backups loses all its users' instances at once."
  }
}

variable "instances_total" {
  description = "How many instances there may be"
  type        = number
  default     = 100

  validation {
    condition     = var.instances_total >= 1
    error_message = "Give 1 or more."
  }
}

variable "instances_per_user" {
  description = "How many instances a user may have"
  type        = number
  default     = 10

  validation {
    condition     = var.instances_per_user >= 1
    error_message = "Give 1 or more."
  }
}

variable "retention_days" {
  description = "How long a deleted instance can be brought back"
  type        = number
  default     = 7

  validation {
    condition     = var.retention_days >= 0 && var.retention_days <= 30
    error_message = "Give 0 to 30: Secrets Manager keeps what was deleted no longer."
  }
}

variable "restore_points_every_hours" {
  description = "How often a restore point (an EBS snapshot) is made of each running instance; 0 for never"
  type        = number
  default     = 24

  validation {
    condition     = var.restore_points_every_hours >= 0 && var.restore_points_every_hours <= 8760
    error_message = "Give 0 to 8760."
  }
}

variable "restore_points_keep" {
  description = "How many restore points of each instance are kept"
  type        = number
  default     = 7

  validation {
    condition     = var.restore_points_keep >= 1 && var.restore_points_keep <= 1000
    error_message = "Give 1 to 1000."
  }
}

# --- watching ---

variable "alarm_email" {
  description = "Address that is told of alarms, once it has confirmed; empty for none, the topic is there all the same"
  type        = string
  default     = ""

  validation {
    condition     = var.alarm_email == "" || can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "Give an e-mail address, or nothing."
  }
}

variable "log_retention_days" {
  description = "How long the logs of the platform and of users' containers are kept, in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, … days."
  }
}

variable "log_level" {
  description = "What the platform logs: debug, info, warning or error"
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warning", "error"], var.log_level)
    error_message = "Give debug, info, warning or error."
  }
}

variable "launch_failures_alarm" {
  description = "How many failed launches within five minutes are an alarm"
  type        = number
  default     = 3

  validation {
    condition     = var.launch_failures_alarm >= 1
    error_message = "Give 1 or more."
  }
}

variable "budget_usd_per_month" {
  description = "From which estimate of a month's cost, in US dollars, the alarm over-budget is on; 0 for none"
  type        = number
  default     = 0

  validation {
    condition     = var.budget_usd_per_month >= 0
    error_message = "Give 0 or more."
  }
}

variable "budget_stops_creates" {
  description = "Whether nobody can create an instance while the budget is exceeded"
  type        = bool
  default     = false
}
