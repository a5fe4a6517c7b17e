terraform {
  # Write-only arguments and ephemeral resources keep the database's password out of state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Several operators share a state in S3: terraform init -backend-config=…, as docs/deploy.md says.
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = merge(var.tags, { Deployment = var.deployment_name })
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  arn        = "arn:${local.partition}"
  ec2_arn    = "${local.arn}:ec2:${var.aws_region}:${local.account_id}"
  elb_arn    = "${local.arn}:elasticloadbalancing:${var.aws_region}:${local.account_id}"
}
