# A VPC of public subnets without NAT, or one that is there already.

data "aws_availability_zones" "available" {
  count = local.makes_vpc && length(var.availability_zones) == 0 ? 1 : 0
  state = "available"

  filter {
    name   = "zone-type"
    values = ["availability-zone"]
  }
}

data "aws_vpc" "existing" {
  count = local.makes_vpc ? 0 : 1
  id    = var.vpc_id
}

locals {
  makes_vpc = var.vpc_id == ""
  ipv6      = var.machine_addresses == "ipv6"
  zones = !local.makes_vpc ? [] : length(var.availability_zones) > 0 ? var.availability_zones : slice(
    data.aws_availability_zones.available[0].names, 0, min(3, length(data.aws_availability_zones.available[0].names))
  )
  vpc_id     = local.makes_vpc ? aws_vpc.this[0].id : data.aws_vpc.existing[0].id
  subnet_ids = local.makes_vpc ? [for zone in local.zones : aws_subnet.public[zone].id] : var.subnet_ids
  # In the order in which the platform reads them.
  vpc_cidrs = local.makes_vpc ? [var.vpc_cidr] : distinct(concat(
    [data.aws_vpc.existing[0].cidr_block], data.aws_vpc.existing[0].cidr_block_associations[*].cidr_block
  ))
}

resource "aws_vpc" "this" {
  count                = local.makes_vpc ? 1 : 0
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  assign_generated_ipv6_cidr_block = local.ipv6

  tags = { Name = var.deployment_name }
}

# The group that everything without another one would be in lets nothing pass.
resource "aws_default_security_group" "this" {
  count  = local.makes_vpc ? 1 : 0
  vpc_id = aws_vpc.this[0].id
}

resource "aws_internet_gateway" "this" {
  count  = local.makes_vpc ? 1 : 0
  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.deployment_name }
}

# Out by IPv6 only: nothing from the world can begin a connection with an address in here.
resource "aws_egress_only_internet_gateway" "this" {
  count  = local.makes_vpc && local.ipv6 ? 1 : 0
  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.deployment_name }
}

# Machines ask for a public address themselves; nothing else gets one by being here.
resource "aws_subnet" "public" {
  for_each          = toset(local.zones)
  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, index(local.zones, each.key))
  ipv6_cidr_block   = local.ipv6 ? cidrsubnet(aws_vpc.this[0].ipv6_cidr_block, 8, index(local.zones, each.key)) : null

  tags = { Name = "${var.deployment_name}-${each.key}" }
}

resource "aws_route_table" "public" {
  count  = local.makes_vpc ? 1 : 0
  vpc_id = aws_vpc.this[0].id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this[0].id
  }

  dynamic "route" {
    for_each = aws_egress_only_internet_gateway.this
    content {
      ipv6_cidr_block        = "::/0"
      egress_only_gateway_id = route.value.id
    }
  }

  tags = { Name = "${var.deployment_name}-public" }
}

resource "aws_route_table_association" "public" {
  for_each       = aws_subnet.public
  subnet_id      = each.value.id
  route_table_id = aws_route_table.public[0].id
}
