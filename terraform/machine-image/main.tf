# The machine image of users' machines: Amazon Linux 2023 with Docker, and if wanted with the gateway's image, built by EC2 Image Builder.
# Stands by itself, with a state of its own: docs/deploy.md says when it is of use.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = { Deployment = var.deployment_name }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name       = "${var.deployment_name}-machine-image"
  arn        = "arn:${data.aws_partition.current.partition}"
  parent     = { x86_64 = "amazon-linux-2023-x86", arm64 = "amazon-linux-2023-arm64" }
  repository = try(one(regex("^[^/]+/([^@]+)@", var.gateway_image)), "")
  # A component or recipe never changes under its version, so that each change gets another one.
  script  = "IMAGE='${var.gateway_image}' REGION='${var.aws_region}'\n${file("${path.module}/install.sh")}"
  version = "1.0.${parseint(substr(sha256("${local.script}${var.root_volume_gib}"), 0, 6), 16)}"
}

resource "aws_imagebuilder_component" "docker" {
  name        = local.name
  description = "Docker, what machines call beside it, and the gateway's image"
  platform    = "Linux"
  version     = local.version
  data = yamlencode({
    name          = local.name
    schemaVersion = "1.0"
    phases = [
      { name = "build", steps = [{ name = "Install", action = "ExecuteBash", inputs = { commands = [local.script] } }] },
      { name = "test", steps = [{ name = "Boot", action = "ExecuteBash", inputs = { commands = [local.check] } }] },
    ]
  })

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # On a machine that was started from the new image.
  check = join("\n", concat(
    ["set -eu", "docker info >/dev/null"], var.gateway_image == "" ? [] : ["docker image inspect '${var.gateway_image}' >/dev/null"]
  ))
}

resource "aws_imagebuilder_image_recipe" "machine" {
  name         = local.name
  version      = local.version
  parent_image = "${local.arn}:imagebuilder:${var.aws_region}:aws:image/${local.parent[var.architecture]}/x.x.x"

  component {
    component_arn = aws_imagebuilder_component.docker.arn
  }

  block_device_mapping {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = var.root_volume_gib
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role" "builder" {
  name        = local.name
  description = "The machine on which Image Builder builds: runs its commands, and pulls the gateway"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy_attachment" "builder" {
  for_each   = toset(["AmazonSSMManagedInstanceCore", "EC2InstanceProfileForImageBuilder"])
  role       = aws_iam_role.builder.name
  policy_arn = "${local.arn}:iam::aws:policy/${each.key}"
}

resource "aws_iam_role_policy" "pull" {
  count = var.gateway_image == "" ? 0 : 1
  name  = "pull"
  role  = aws_iam_role.builder.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "${local.arn}:ecr:${var.aws_region}:${data.aws_caller_identity.current.account_id}:repository/${local.repository}"
      },
    ]
  })
}

resource "aws_iam_instance_profile" "builder" {
  name = local.name
  role = aws_iam_role.builder.name
}

resource "aws_imagebuilder_infrastructure_configuration" "machine" {
  name                          = local.name
  instance_profile_name         = aws_iam_instance_profile.builder.name
  instance_types                = [var.architecture == "arm64" ? "t4g.medium" : "t3.medium"]
  subnet_id                     = var.subnet_id == "" ? null : var.subnet_id
  security_group_ids            = var.subnet_id == "" ? null : [var.security_group_id]
  terminate_instance_on_failure = true

  instance_metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

resource "aws_imagebuilder_distribution_configuration" "machine" {
  name = local.name

  distribution {
    region = var.aws_region
    ami_distribution_configuration {
      name     = "${local.name}-{{ imagebuilder:buildDate }}"
      ami_tags = { Name = local.name, Deployment = var.deployment_name }
    }
  }
}

resource "aws_imagebuilder_image_pipeline" "machine" {
  name                             = local.name
  description                      = "Builds the machine image anew each Sunday on which Amazon Linux has changed"
  image_recipe_arn                 = aws_imagebuilder_image_recipe.machine.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.machine.arn
  distribution_configuration_arn   = aws_imagebuilder_distribution_configuration.machine.arn

  schedule {
    schedule_expression                = "cron(0 4 ? * sun *)"
    pipeline_execution_start_condition = "EXPRESSION_MATCH_AND_DEPENDENCY_UPDATES_AVAILABLE"
  }
}

output "pipeline_arn" {
  description = "What to start: aws imagebuilder start-image-pipeline-execution --image-pipeline-arn …"
  value       = aws_imagebuilder_image_pipeline.machine.arn
}
