# The machines of users: launch templates and security group.

resource "aws_security_group" "machine" {
  name        = "${var.deployment_name}-machine"
  description = "Machines of users: OpenClaw from the load balancer and the control plane, nothing from each other"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.deployment_name}-machine" }
}

resource "aws_vpc_security_group_ingress_rule" "machine_from" {
  for_each = merge(
    { for id in aws_security_group.alb[*].id : "alb" => { group = id, what = "OpenClaw, as users reach it" } },
    { control-plane = { group = aws_security_group.control_plane.id, what = "OpenClaw, as the platform speaks to it" } },
  )
  security_group_id            = aws_security_group.machine.id
  description                  = each.value.what
  referenced_security_group_id = each.value.group
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_vpc_security_group_egress_rule" "machine_to_internet" {
  security_group_id = aws_security_group.machine.id
  description       = "Model providers, channels, and whatever a user has OpenClaw do"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_egress_rule" "machine_to_internet_by_ipv6" {
  count             = local.ipv6 ? 1 : 0
  security_group_id = aws_security_group.machine.id
  description       = "The same by IPv6, the only way where machines have no public IPv4 address"
  cidr_ipv6         = "::/0"
  ip_protocol       = "-1"
}

locals {
  # The package's own files, filled in as adapters/aws/user_data.py does; a test holds the two against each other.
  machine_files  = "${path.module}/../src/openclaw_hosted/adapters/aws/machine"
  placeholder_id = "oc-00000000"
  # The registry's name that has IPv6 addresses as well.
  gateway_repository = !local.ipv6 ? aws_ecr_repository.this["gateway"].repository_url : replace(
    aws_ecr_repository.this["gateway"].repository_url, "/^(\\d+)\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com//", "$1.dkr-ecr.$2.on.aws/"
  )
  origins = distinct(concat(
    local.addresses, var.routing == "host" ? ["${local.scheme}://${local.placeholder_id}.${var.instance_domain}"] : []
  ))
  gateway_config = replace(replace(trimspace(file("${path.module}/gateway-config.json")),
    "\"place-origins\"", join(",", [for origin in sort(local.origins) : jsonencode(origin)])),
  "\"place-proxies\"", join(",", [for cidr in local.vpc_cidrs : jsonencode(cidr)]))
  user_data_places = {
    SCRIPT = base64gzip(replace(replace(file("${local.machine_files}/openclaw-machine.sh"), "/(?m)^ *#[^!\\n].*\\n|^ +/", ""), "/(?m)\\{ # .*$/", "{"))
    IMAGE  = "${local.gateway_repository}${startswith(var.gateway_image, "sha256:") ? "@" : ":"}${var.gateway_image}"
    SECRET = "${var.deployment_name}/${local.placeholder_id}"
    ID     = local.placeholder_id
    CONFIG = local.gateway_config
    LOG    = aws_cloudwatch_log_group.gateways.name
  }
  user_data = join("", [
    for part in regexall("@(?:SCRIPT|IMAGE|SECRET|ID|CONFIG|LOG)@|@|[^@]+", file("${local.machine_files}/user-data.sh")) :
    lookup(local.user_data_places, trim(part, "@"), part)
  ])
  machine_tags = { Name = "openclaw-user-instance", Deployment = var.deployment_name }
}

# Two that differ in what CreateFleet says with each call, and can't also take from a template: the market and the subnet.
resource "aws_launch_template" "machine" {
  for_each = {
    by-hand = { name = "machine", market = var.on_demand_spares ? [] : ["spot"], subnet_id = local.subnet_ids[0] }
    fleet   = { name = "fleet", market = [], subnet_id = null }
  }
  name                   = "${var.deployment_name}-${each.value.name}"
  description            = "A machine that is hot before it has a user"
  update_default_version = true
  image_id               = local.ami_id
  instance_type          = var.user_instance_type
  user_data              = base64encode(local.user_data)

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine.arn
  }

  # As SEED.md starts them (Replenish Pool Manually).
  dynamic "instance_market_options" {
    for_each = each.value.market
    content {
      market_type = instance_market_options.value
      spot_options {
        spot_instance_type             = "one-time"
        instance_interruption_behavior = "terminate"
      }
    }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    http_protocol_ipv6          = "disabled"
    instance_metadata_tags      = "enabled"
  }

  # While it warms up; the platform sets it to standard once a user has it.
  credit_specification {
    cpu_credits = "unlimited"
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = !local.ipv6
    ipv6_address_count          = local.ipv6 ? 1 : null
    delete_on_termination       = true
    security_groups             = [aws_security_group.machine.id]
    subnet_id                   = each.value.subnet_id
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = var.root_volume_gib
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  block_device_mappings {
    device_name = "/dev/sdf"
    ebs {
      volume_size           = var.data_volume_gib
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = false
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, local.machine_tags)
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.user_data) <= 16384
      error_message = "The machines' user data is longer than the 16,384 bytes that EC2 takes: give fewer or shorter domain_names."
    }
  }
}
