# Load balancers: each a shard with a host name and a listener of its own. Rules and target groups of instances are the platform's. With
# none of them, the control plane's machine has an address that stays, and its edge gets the certificate.

locals {
  balanced  = var.load_balancer_count > 0
  shards    = { for number in range(var.load_balancer_count) : tostring(number + 1) => number }
  https     = local.balanced ? var.certificate_arn != "" : length(var.domain_names) > 0
  scheme    = local.https ? "https" : "http"
  ports     = local.https ? ["80", "443"] : ["80"]
  own_names = concat([for number in range(var.load_balancer_count) : aws_lb.shard[tostring(number + 1)].dns_name], aws_eip.edge[*].public_ip)
  hosts     = length(var.domain_names) > 0 ? var.domain_names : local.own_names
  addresses = [for host in local.hosts : "${local.scheme}://${host}"]
  listeners = [for number in range(var.load_balancer_count) : aws_lb_listener.main[tostring(number + 1)].arn]
}

resource "aws_security_group" "alb" {
  count       = local.balanced ? 1 : 0
  name        = "${var.deployment_name}-alb"
  description = "Load balancers: the world in, the platform and machines of users behind"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.deployment_name}-alb" }
}

resource "aws_vpc_security_group_ingress_rule" "alb_from_world" {
  for_each          = toset(local.balanced ? local.ports : [])
  security_group_id = aws_security_group.alb[0].id
  description       = each.key == "443" ? "HTTPS" : local.https ? "HTTP, which redirects" : "HTTP, for a trial"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

resource "aws_vpc_security_group_egress_rule" "alb_to" {
  for_each = { for name, group in {
    machine       = aws_security_group.machine.id
    control-plane = aws_security_group.control_plane.id
  } : name => group if local.balanced }
  security_group_id            = aws_security_group.alb[0].id
  description                  = "Port 8080 of the ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_lb" "shard" {
  for_each                   = local.shards
  name                       = "${var.deployment_name}-${each.key}"
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.alb[0].id]
  subnets                    = local.subnet_ids
  idle_timeout               = var.idle_timeout_seconds
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection

  depends_on = [aws_internet_gateway.this]
}

# The platform's own pages: a target group belongs to one load balancer, so each has its own.
resource "aws_lb_target_group" "web" {
  for_each             = local.shards
  name                 = "${var.deployment_name}-web-${each.key}"
  vpc_id               = local.vpc_id
  protocol             = "HTTP"
  port                 = 8080
  target_type          = "instance"
  deregistration_delay = 10

  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "main" {
  for_each          = local.shards
  load_balancer_arn = aws_lb.shard[each.key].arn
  protocol          = local.https ? "HTTPS" : "HTTP"
  port              = local.https ? 443 : 80
  certificate_arn   = local.https ? var.certificate_arn : null
  ssl_policy        = local.https ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web[each.key].arn
  }
}

resource "aws_lb_listener" "redirect" {
  for_each          = local.https ? local.shards : {}
  load_balancer_arn = aws_lb.shard[each.key].arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

# One record for both ways in, which changes in place when the one is exchanged for the other.
resource "aws_route53_record" "shard" {
  for_each = { for number, name in var.domain_names : tostring(number + 1) => name if var.hosted_zone_id != "" }
  zone_id  = var.hosted_zone_id
  name     = each.value
  type     = "A"
  ttl      = local.balanced ? null : 60
  records  = local.balanced ? null : aws_eip.edge[*].public_ip

  dynamic "alias" {
    for_each = local.balanced ? [aws_lb.shard[each.key]] : []
    content {
      name                   = alias.value.dns_name
      zone_id                = alias.value.zone_id
      evaluate_target_health = false
    }
  }
}

resource "aws_route53_record" "instances" {
  count   = var.hosted_zone_id != "" && var.routing == "host" ? 1 : 0
  zone_id = var.hosted_zone_id
  name    = "*.${var.instance_domain}"
  type    = "A"

  alias {
    name                   = aws_lb.shard["1"].dns_name
    zone_id                = aws_lb.shard["1"].zone_id
    evaluate_target_health = false
  }
}
