# Plans of the main sets of variables, without an account: what AWS would tell is given here.

provider "aws" {
  region                      = "us-west-2"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variables {
  ami_id               = "ami-0123456789abcdef0"
  control_plane_ami_id = "ami-0123456789abcdef0"
  availability_zones   = ["us-west-2a", "us-west-2b"]
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

override_data {
  target = data.aws_vpc.existing
  values = { cidr_block = "10.0.0.0/16" }
}

override_data {
  target = data.aws_subnet.control_plane
  values = { availability_zone = "us-west-2a" }
}

# Its password is made while planning, by AWS.
override_module {
  target = module.database
  outputs = {
    endpoint   = "database:5432"
    secret_arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:openclaw-platform/database-AbCdEf"
  }
}

run "trial_over_http" {
  command = plan
  variables {
    database            = "sqlite"
    deletion_protection = false
  }

  assert {
    condition     = aws_lb_listener.main["1"].protocol == "HTTP" && length(aws_lb_listener.redirect) == 0
    error_message = "Without a certificate there is HTTP and no redirect."
  }
  assert {
    condition     = length(module.database) == 0 && aws_ebs_volume.platform[0].encrypted
    error_message = "SQLite is on an encrypted volume."
  }
  assert {
    condition     = length(aws_subnet.public) == 2 && !anytrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch])
    error_message = "There are two public subnets, and nothing gets an address without asking."
  }
}

run "machines" {
  command = plan

  assert {
    condition     = aws_launch_template.machine["by-hand"].instance_market_options[0].spot_options[0].spot_instance_type == "one-time"
    error_message = "Spot requests are one-time: a persistent one starts another machine that nobody knows."
  }
  assert {
    condition     = length(aws_launch_template.machine["fleet"].instance_market_options) == 0 && aws_launch_template.machine["fleet"].network_interfaces[0].subnet_id == null
    error_message = "A fleet names market and subnet itself."
  }
  assert {
    condition     = aws_launch_template.machine["fleet"].metadata_options[0].http_tokens == "required" && aws_launch_template.machine["fleet"].metadata_options[0].http_put_response_hop_limit == 1 && aws_launch_template.machine["fleet"].metadata_options[0].instance_metadata_tags == "enabled"
    error_message = "The metadata address takes tokens, is out of a container's reach, and tells tags."
  }
  assert {
    condition     = alltrue([for disk in aws_launch_template.machine["fleet"].block_device_mappings : disk.ebs[0].encrypted == "true" && disk.ebs[0].volume_type == "gp3" && disk.ebs[0].delete_on_termination == (disk.device_name == "/dev/sdf" ? "false" : "true")])
    error_message = "Disks are encrypted; the user's outlives the machine, the system's does not."
  }
  assert {
    condition     = toset(aws_launch_template.machine["fleet"].tag_specifications[*].resource_type) == toset(["instance", "volume"]) && alltrue([for spec in aws_launch_template.machine["fleet"].tag_specifications : spec.tags.Name == "openclaw-user-instance" && spec.tags.Deployment == "openclaw"])
    error_message = "Machines and volumes are tagged from their first moment."
  }
  assert {
    condition     = aws_launch_template.machine["fleet"].network_interfaces[0].associate_public_ip_address == "true" && aws_launch_template.machine["fleet"].credit_specification[0].cpu_credits == "unlimited"
    error_message = "Machines have an address of their own and start at full speed."
  }
  assert {
    condition     = length(aws_egress_only_internet_gateway.this) == 0 && aws_launch_template.machine["fleet"].network_interfaces[0].ipv6_address_count == null
    error_message = "There is no IPv6 unless it is asked for."
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.machine_from) == ["alb", "control-plane"] && alltrue([for rule in aws_vpc_security_group_ingress_rule.machine_from : rule.from_port == 8080 && rule.to_port == 8080 && rule.cidr_ipv4 == null])
    error_message = "Machines are reached at 8080, by the load balancer and the control plane alone."
  }
}

run "machines_with_ipv6_only" {
  command = plan
  variables { machine_addresses = "ipv6" }

  assert {
    condition     = alltrue([for template in aws_launch_template.machine : template.network_interfaces[0].associate_public_ip_address == "false" && template.network_interfaces[0].ipv6_address_count == 1])
    error_message = "Machines have an IPv6 address, and no public IPv4 address that is paid for."
  }
  assert {
    condition     = aws_vpc.this[0].assign_generated_ipv6_cidr_block && length(aws_egress_only_internet_gateway.this) == 1
    error_message = "The network has IPv6, and a way out that is no way in."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.machine_to_internet_by_ipv6[0].cidr_ipv6 == "::/0" && alltrue([for rule in aws_vpc_security_group_ingress_rule.machine_from : rule.cidr_ipv6 == null])
    error_message = "Machines may go out by IPv6, and nobody comes in by it."
  }
  assert {
    condition     = local.web_environment.MACHINE_ADDRESSES == "ipv6" && aws_launch_template.control_plane.network_interfaces[0].associate_public_ip_address == "true"
    error_message = "The platform knows, and has an IPv4 address itself."
  }
}

run "addresses_that_are_none_are_refused" {
  command = plan
  variables { machine_addresses = "both" }
  expect_failures = [var.machine_addresses]
}

run "https_with_two_load_balancers" {
  command = plan
  variables {
    load_balancer_count = 2
    certificate_arn     = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
    domain_names        = ["claw.example.com", "claw-2.example.com"]
    hosted_zone_id      = "Z0123456789ABCDEFGHIJ"
  }

  assert {
    condition     = alltrue([for listener in aws_lb_listener.main : listener.protocol == "HTTPS" && listener.port == 443 && listener.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"])
    error_message = "Listeners are HTTPS with TLS 1.2 or newer."
  }
  assert {
    condition     = alltrue([for listener in aws_lb_listener.redirect : listener.default_action[0].redirect[0].status_code == "HTTP_301"]) && length(aws_lb_listener.redirect) == 2
    error_message = "HTTP redirects."
  }
  assert {
    condition     = [for record in aws_route53_record.shard : record.name] == ["claw.example.com", "claw-2.example.com"]
    error_message = "Each name leads to its load balancer."
  }
  assert {
    condition     = local.web_environment.PUBLIC_URL == "https://claw.example.com" && local.web_environment.SHARD_URLS == "https://claw.example.com,https://claw-2.example.com"
    error_message = "The platform knows its addresses."
  }
  assert {
    condition     = alltrue([for balancer in aws_lb.shard : balancer.idle_timeout == 3600 && balancer.drop_invalid_header_fields && balancer.enable_deletion_protection])
    error_message = "WebSockets stay open, odd headers do not pass, and nobody deletes a load balancer by mistake."
  }
}

run "routing_by_host_name_in_an_existing_network" {
  command = plan
  variables {
    vpc_id             = "vpc-0123456789abcdef0"
    subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    availability_zones = []
    certificate_arn    = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
    domain_names       = ["claw.example.com"]
    routing            = "host"
    instance_domain    = "claw.example.com"
    on_demand_spares   = true
  }

  assert {
    condition     = length(aws_vpc.this) == 0 && length(aws_subnet.public) == 0 && local.web_environment.VPC_ID == "vpc-0123456789abcdef0"
    error_message = "What is there is used."
  }
  assert {
    condition     = local.web_environment.ROUTING == "host" && local.web_environment.INSTANCE_DOMAIN == "claw.example.com" && contains(local.origins, "https://oc-00000000.claw.example.com")
    error_message = "Each instance has a name of its own."
  }
  assert {
    condition     = length(aws_launch_template.machine["by-hand"].instance_market_options) == 0
    error_message = "On demand means on demand also for machines that are started by hand."
  }
}

run "one_zone_is_refused" {
  command = plan
  variables { availability_zones = ["us-west-2a"] }
  expect_failures = [var.availability_zones]
}

run "a_certificate_without_a_name_is_refused" {
  command = plan
  variables { certificate_arn = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef" }
  expect_failures = [var.domain_names]
}

run "a_name_that_is_too_long_is_refused" {
  command = plan
  variables { deployment_name = "a-name-of-nineteen-x" }
  expect_failures = [var.deployment_name]
}

run "a_key_that_metadata_can_not_name_is_refused" {
  command = plan
  variables { tags = { "cost center" = "42" } }
  expect_failures = [var.tags]
}

run "types_before_nitro_are_refused" {
  command = plan
  variables {
    user_instance_type   = "t2.small"
    extra_instance_types = ["t3a.small", "m4.large"]
  }
  expect_failures = [var.user_instance_type, var.extra_instance_types]
}

run "what_secrets_manager_does_not_keep_is_refused" {
  command = plan
  variables { retention_days = 31 }
  expect_failures = [var.retention_days]
}

run "without_spares" {
  command = plan
  variables {
    pool_spare_count = 0
    tags             = { "cost-center" = "42", "team:name" = "a b/c" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.pool_depleted.threshold == 0 && aws_cloudwatch_metric_alarm.pool_depleted.treat_missing_data == "breaching"
    error_message = "No spare is no alarm then; a control plane that says nothing is."
  }
  assert {
    condition     = aws_autoscaling_group.control_plane.health_check_grace_period >= 3600
    error_message = "A machine that never answered can be looked at."
  }
}

run "no_backups_are_refused" {
  command = plan
  variables { database_backup_days = 0 }
  expect_failures = [var.database_backup_days]
}

run "host_names_on_several_load_balancers_are_refused" {
  command = plan
  variables {
    load_balancer_count = 2
    routing             = "host"
    instance_domain     = "claw.example.com"
  }
  expect_failures = [var.routing]
}

run "opentelemetry" {
  command = plan
  variables { otlp_endpoint = "https://otlp.example.com:4318/v1/tenant" }

  assert {
    condition     = local.web_environment.OTEL_EXPORTER_OTLP_ENDPOINT == "https://otlp.example.com:4318/v1/tenant"
    error_message = "The platform knows where its collector is."
  }
}

run "a_key_in_a_collectors_address_is_refused" {
  command = plan
  variables { otlp_endpoint = "https://me:key@otlp.example.com" }
  expect_failures = [var.otlp_endpoint]
}

run "no_load_balancer" {
  command = plan
  variables {
    load_balancer_count = 0
    domain_names        = ["claw.example.com"]
    hosted_zone_id      = "Z0123456789ABCDEFGHIJ"
    database            = "sqlite"
  }

  assert {
    condition     = length(aws_lb.shard) + length(aws_lb_listener.main) + length(aws_lb_listener.redirect) + length(aws_lb_target_group.web) + length(aws_security_group.alb) == 0
    error_message = "Nothing of a load balancer is made."
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.control_plane_from_world) == ["443", "80"] && length(aws_vpc_security_group_ingress_rule.control_plane_from_alb) == 0
    error_message = "The world reaches the control plane at 80 and 443, and at nothing else."
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.machine_from) == ["control-plane"] && aws_vpc_security_group_ingress_rule.machine_from["control-plane"].from_port == 8080
    error_message = "Machines are reached at 8080, by the control plane alone."
  }
  assert {
    condition     = length(aws_eip.edge) == 1 && aws_eip.edge[0].domain == "vpc" && length(aws_ebs_volume.platform) == 1
    error_message = "Address and volume outlive the control plane's machine."
  }
  assert {
    condition     = aws_autoscaling_group.control_plane.health_check_type == "EC2" && length(aws_autoscaling_attachment.control_plane) == 0
    error_message = "Nobody asks whether the platform on the machine answers."
  }
  assert {
    condition     = local.web_environment.LOAD_BALANCER == "none" && local.web_environment.TLS == "acme" && local.web_environment.PORT == "443" && local.web_environment.PUBLIC_URL == "https://claw.example.com"
    error_message = "The platform listens where browsers ask, and gets its certificate itself."
  }
  assert {
    condition     = !anytrue([for name in ["ALB_LISTENER_ARN", "SHARD_URLS", "SHARD_CAPACITY"] : contains(keys(local.web_environment), name)])
    error_message = "The platform is told nothing of load balancers."
  }
  assert {
    condition     = aws_route53_record.shard["1"].name == "claw.example.com" && aws_route53_record.shard["1"].ttl == 60 && length(aws_route53_record.shard["1"].alias) == 0
    error_message = "The name leads to the control plane's address."
  }
}

run "no_load_balancer_without_a_name_and_with_postgres" {
  command = plan
  variables { load_balancer_count = 0 }

  assert {
    condition     = local.web_environment.TLS == "off" && local.web_environment.PORT == "80" && keys(aws_vpc_security_group_ingress_rule.control_plane_from_world) == ["80"]
    error_message = "Without a name there is HTTP, for a trial."
  }
  assert {
    condition     = length(aws_ebs_volume.platform) == 1 && length(module.database) == 1
    error_message = "What the edge knows is on a volume, whatever the database."
  }
}

run "what_only_load_balancers_have_is_refused_without_one" {
  command = plan
  variables {
    load_balancer_count = 0
    certificate_arn     = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
    domain_names        = ["claw.example.com"]
    routing             = "host"
    instance_domain     = "claw.example.com"
  }
  expect_failures = [var.certificate_arn, var.routing]
}

run "several_names_without_a_load_balancer_are_refused" {
  command = plan
  variables {
    load_balancer_count = 0
    domain_names        = ["claw.example.com", "claw-2.example.com"]
  }
  expect_failures = [var.domain_names]
}
