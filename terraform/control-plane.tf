# Where pages and control loops run: one small machine on demand, in a group that makes another one when it does not answer. Without a load
# balancer it is what users reach, too.

locals {
  postgres = var.database == "postgres"
  # What outlives the machine: SQLite, and what the edge knows, its certificate above all.
  keeps_volume = !local.postgres || !local.balanced
  web_environment = merge(
    {
      PROVIDER                 = "aws"
      HOST                     = "0.0.0.0"
      PORT                     = local.balanced ? "8080" : local.https ? "443" : "80"
      PUBLIC_URL               = local.addresses[0]
      USER_INSTANCE_TYPE       = var.user_instance_type
      EXTRA_INSTANCE_TYPES     = join(",", var.extra_instance_types)
      POOL_SPARE_COUNT         = tostring(var.pool_spare_count)
      POOL_WARMTH              = var.pool_warmth
      FLEET_CAP                = tostring(var.fleet_cap)
      LAUNCH_TEMPLATE_ID       = aws_launch_template.machine["by-hand"].id
      FLEET_TEMPLATE_ID        = aws_launch_template.machine["fleet"].id
      AWS_REGION               = var.aws_region
      VPC_ID                   = local.vpc_id
      SUBNET_IDS               = join(",", local.subnet_ids)
      SECURITY_GROUP_ID        = aws_security_group.machine.id
      ECR_REPOSITORY_URL       = local.gateway_repository
      MACHINE_ADDRESSES        = var.machine_addresses
      POOL_POLICY              = var.pool_policy
      POOL_SPARE_MOST          = tostring(var.pool_spare_most)
      IMAGE_TAG                = var.gateway_image
      DEPLOYMENT_NAME          = var.deployment_name
      MACHINE_ROLE_ARN         = aws_iam_role.machine.arn
      NOTICES_QUEUE_URL        = aws_sqs_queue.notices.url
      GATEWAY_LOG_GROUP        = aws_cloudwatch_log_group.gateways.name
      DATA_VOLUME_GIB          = tostring(var.data_volume_gib)
      ROOT_VOLUME_GIB          = tostring(var.root_volume_gib)
      SPOT_PRICE_PER_HOUR      = tostring(var.spot_price_per_hour)
      ON_DEMAND_PRICE_PER_HOUR = tostring(var.on_demand_price_per_hour)
      ON_DEMAND_FALLBACK       = tostring(var.on_demand_fallback)
      ON_DEMAND_REPLACEMENTS   = tostring(var.on_demand_replacements)
      ON_DEMAND_SPARES         = tostring(var.on_demand_spares)
      ROUTING                  = var.routing
      INSTANCES_TOTAL          = tostring(var.instances_total)
      INSTANCES_PER_USER       = tostring(var.instances_per_user)
      RETENTION_DAYS           = tostring(var.retention_days)
      RESTORE_POINTS_KEEP      = tostring(var.restore_points_keep)
      LOG_LEVEL                = var.log_level
      LAUNCH_FAILURES_ALARM    = tostring(var.launch_failures_alarm)
      BUDGET_USD_PER_MONTH     = var.budget_usd_per_month > 0 ? tostring(var.budget_usd_per_month) : ""
      BUDGET_STOPS_CREATES     = tostring(var.budget_stops_creates && var.budget_usd_per_month > 0)
      OPENCLAW_HOSTED_DATA_DIR = "/var/lib/openclaw-hosted"
    },
    local.balanced ? {
      ALB_LISTENER_ARN = join(",", local.listeners)
      SHARD_URLS       = join(",", local.addresses)
      SHARD_CAPACITY   = tostring(var.shard_capacity)
    } : {},
    local.balanced ? {} : { LOAD_BALANCER = "none", TLS = local.https ? "acme" : "off" },
    { RESTORE_POINTS_EVERY_HOURS = tostring(var.restore_points_every_hours) },
    var.otlp_endpoint != "" ? { OTEL_EXPORTER_OTLP_ENDPOINT = var.otlp_endpoint } : {},
    var.archives_bucket != "" ? { ARCHIVES_BUCKET = var.archives_bucket } : {},
    var.routing == "host" ? { INSTANCE_DOMAIN = var.instance_domain } : {},
  )

  image_of_control_plane = "${aws_ecr_repository.this["control-plane"].repository_url}${startswith(var.control_plane_image, "sha256:") ? "@" : ":"}${var.control_plane_image}"
  control_plane_boot = {
    REGION          = var.aws_region
    IMAGE           = local.image_of_control_plane
    LOG_GROUP       = aws_cloudwatch_log_group.platform.name
    VOLUME          = one(aws_ebs_volume.platform[*].id)
    ADDRESS         = one(aws_eip.edge[*].allocation_id)
    DATABASE_SECRET = one(module.database[*].secret_arn)
    DATABASE_HOST   = one(module.database[*].endpoint)
    SETTINGS_SECRET = var.settings_secret
  }
  control_plane_user_data = join("\n", concat(
    ["#!/bin/bash"],
    [for name, value in local.control_plane_boot : "${name}='${value == null ? "" : value}'"],
    ["ENVIRONMENT=$(cat <<'END'"],
    [for name, value in local.web_environment : "${name}=${value}"],
    ["END", ")", file("${path.module}/control-plane.sh")],
  ))
}

resource "aws_security_group" "control_plane" {
  name        = "${var.deployment_name}-control-plane"
  description = "The control plane: pages from the load balancers"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.deployment_name}-control-plane" }
}

resource "aws_vpc_security_group_ingress_rule" "control_plane_from_alb" {
  count                        = local.balanced ? 1 : 0
  security_group_id            = aws_security_group.control_plane.id
  description                  = "Pages and API"
  referenced_security_group_id = aws_security_group.alb[0].id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_vpc_security_group_ingress_rule" "control_plane_from_world" {
  for_each          = toset(local.balanced ? [] : local.ports)
  security_group_id = aws_security_group.control_plane.id
  description       = each.key == "443" ? "HTTPS" : local.https ? "HTTP, which redirects, and by which the certificate is got" : "HTTP, for a trial"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

resource "aws_vpc_security_group_egress_rule" "control_plane_out" {
  security_group_id = aws_security_group.control_plane.id
  description       = "AWS, the load balancers' own addresses, machines, the database, and the key test of model providers"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_launch_template" "control_plane" {
  name                   = "${var.deployment_name}-control-plane"
  description            = "The control plane's machine"
  update_default_version = true
  image_id               = local.control_plane_ami_id
  instance_type          = var.control_plane_instance_type
  user_data              = base64encode(local.control_plane_user_data)

  iam_instance_profile {
    arn = aws_iam_instance_profile.control_plane.arn
  }

  # One hop: the control plane runs in the machine's own network, and no other container does.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  credit_specification {
    cpu_credits = "unlimited"
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = true
    delete_on_termination       = true
    security_groups             = [aws_security_group.control_plane.id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 10
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = local.balanced ? ["instance", "volume"] : ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.deployment_name}-control-plane" })
    }
  }
}

resource "aws_autoscaling_group" "control_plane" {
  name             = "${var.deployment_name}-control-plane"
  min_size         = 1
  max_size         = 1
  desired_capacity = 1
  # With a volume it has to be where that is.
  vpc_zone_identifier = local.keeps_volume ? [local.subnet_ids[0]] : local.subnet_ids
  # Without a load balancer nobody asks whether the platform answers: only a machine that fails is replaced.
  health_check_type = local.balanced ? "ELB" : "EC2"
  # One that has never answered, for want of an image or by a wrong setting, stays for an hour: long enough to look at it.
  health_check_grace_period = 3600
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = aws_launch_template.control_plane.id
    version = aws_launch_template.control_plane.latest_version
  }

  # Users go on working while the control plane is replaced; two at once would be of no use.
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 0
      max_healthy_percentage = 100
    }
  }

  tag {
    key                 = "Name"
    value               = "${var.deployment_name}-control-plane"
    propagate_at_launch = true
  }

  depends_on = [aws_iam_role_policy_attachment.control_plane, aws_lb_listener.main, aws_route_table_association.public]
}

# Attached one by one: a group that is taken out of a list of the auto scaling group's own would stay attached.
resource "aws_autoscaling_attachment" "control_plane" {
  for_each               = aws_lb_target_group.web
  autoscaling_group_name = aws_autoscaling_group.control_plane.name
  lb_target_group_arn    = each.value.arn
}

# --- the database ---

module "database" {
  count               = local.postgres ? 1 : 0
  source              = "./database"
  name                = var.deployment_name
  vpc_id              = local.vpc_id
  subnet_ids          = local.subnet_ids
  client_group_id     = aws_security_group.control_plane.id
  instance_class      = var.database_instance_class
  multi_az            = var.database_multi_az
  backup_days         = var.database_backup_days
  deletion_protection = var.deletion_protection
  log_retention_days  = var.log_retention_days
}

# --- a volume that outlives the machine, for SQLite and for the edge ---

data "aws_subnet" "control_plane" {
  count = local.keeps_volume ? 1 : 0
  id    = local.subnet_ids[0]
}

resource "aws_ebs_volume" "platform" {
  count             = local.keeps_volume ? 1 : 0
  availability_zone = data.aws_subnet.control_plane[0].availability_zone
  size              = 4
  type              = "gp3"
  encrypted         = true
  final_snapshot    = var.deletion_protection

  tags = { Name = "${var.deployment_name}-control-plane" }
}

# --- the address that users reach where there is no load balancer; each machine takes it over from the one before ---

resource "aws_eip" "edge" {
  count  = local.balanced ? 0 : 1
  domain = "vpc"

  tags = { Name = "${var.deployment_name}-control-plane" }

  depends_on = [aws_internet_gateway.this]
}
