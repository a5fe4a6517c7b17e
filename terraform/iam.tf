# What machines of users may do, and what the control plane may do. tests/terraform/test_iam.py holds both against the calls that are made.

locals {
  secrets_arn       = "${local.arn}:secretsmanager:${var.aws_region}:${local.account_id}:secret:${var.deployment_name}/*"
  target_groups_arn = "${local.elb_arn}:targetgroup/${var.deployment_name}-mc-*/*"
  # Of all load balancers of this deployment, which are numbered: an ARN for each would make the policy too long.
  listeners_arns    = [for number in ["?", "??"] : "${local.elb_arn}:listener/app/${var.deployment_name}-${number}/*"]
  rules_arns        = [for number in ["?", "??"] : "${local.elb_arn}:listener-rule/app/${var.deployment_name}-${number}/*"]
  snapshots_arn     = "${local.arn}:ec2:${var.aws_region}::snapshot/*"
  own_machines      = { StringEquals = { "aws:ResourceTag/Deployment" = var.deployment_name } }
  own_control_plane = { StringEquals = { "aws:ResourceTag/Name" = "${var.deployment_name}-control-plane" } }
  assumed_by_ec2 = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })

  # What the SSM agent needs for Run Command and Session Manager. The managed policy would add ssm:GetParameter on everything.
  agent_statement = {
    Sid    = "Agent"
    Effect = "Allow"
    Action = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
      "ec2messages:AcknowledgeMessage",
      "ec2messages:DeleteMessage",
      "ec2messages:FailMessage",
      "ec2messages:GetEndpoint",
      "ec2messages:GetMessages",
      "ec2messages:SendReply",
    ]
    Resource = "*"
  }

  machine_statements = [
    {
      # The secret's tag names the one machine that may read it; only the control plane may write tags.
      Sid      = "OwnSecret"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = local.secrets_arn
      Condition = {
        StringEquals = { "secretsmanager:ResourceTag/InstanceArn" = "$${ec2:SourceInstanceARN}" }
        Null         = { "ec2:SourceInstanceARN" = "false" }
      }
    },
    {
      Sid      = "LogInToRegistry"
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*"
    },
    {
      Sid      = "PullGateway"
      Effect   = "Allow"
      Action   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = aws_ecr_repository.this["gateway"].arn
    },
    {
      # As Docker does it. No stream is a machine's own here: a stream's name holds no colon, and so can't be ec2:SourceInstanceARN.
      Sid      = "WriteLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.gateways.arn}:*"
    },
    local.agent_statement,
  ]

  # Nothing of it without a load balancer.
  route_statements = [
    {
      Sid    = "LookAtRoutes"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
      ]
      Resource = "*"
    },
    {
      Sid      = "MakeRules"
      Effect   = "Allow"
      Action   = "elasticloadbalancing:CreateRule"
      Resource = local.listeners_arns
    },
    {
      Sid      = "Rules"
      Effect   = "Allow"
      Action   = ["elasticloadbalancing:ModifyRule", "elasticloadbalancing:DeleteRule"]
      Resource = local.rules_arns
    },
    {
      Sid    = "TargetGroups"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:DeregisterTargets",
      ]
      Resource = local.target_groups_arn
    },
    {
      Sid       = "TagRoutes"
      Effect    = "Allow"
      Action    = "elasticloadbalancing:AddTags"
      Resource  = concat([local.target_groups_arn], local.rules_arns)
      Condition = { StringEquals = { "elasticloadbalancing:CreateAction" = ["CreateTargetGroup", "CreateRule"] } }
    },
  ]

  # By duty, a policy each: IAM takes 6,144 characters in a managed policy.
  control_plane_statements = {
    machines = [
      {
        # None of these can be limited to a resource; nor can those of LookAtRoutes and LookAtSecrets.
        Sid    = "LookAtMachines"
        Effect = "Allow"
        Action = [
          "ec2:DescribeInstances",
          "ec2:DescribeVolumes",
          "ec2:DescribeSnapshots",
          "ec2:DescribeVpcs",
          "ec2:DescribeSubnets",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:DescribeInstanceTypes",
          "servicequotas:GetServiceQuota",
          "ssm:DescribeInstanceInformation",
          "ssm:GetCommandInvocation",
        ]
        Resource = "*"
      },
      {
        # From this template, network and group only; the machine itself has to get the platform's tag.
        Sid    = "Launch"
        Effect = "Allow"
        Action = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource = concat(
          [
            aws_launch_template.machine["fleet"].arn,
            aws_security_group.machine.arn,
            "${local.arn}:ec2:${var.aws_region}::image/${local.ami_id}",
            "${local.ec2_arn}:fleet/*",
            "${local.ec2_arn}:network-interface/*",
            "${local.ec2_arn}:spot-instances-request/*",
            "${local.ec2_arn}:volume/*",
          ],
          [for subnet in local.subnet_ids : "${local.ec2_arn}:subnet/${subnet}"],
        )
      },
      {
        # Any image of these owners, as the template's changes before this policy does: launches go on while both are brought up to date.
        Sid       = "LaunchImage"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource  = "${local.arn}:ec2:${var.aws_region}::image/*"
        Condition = { StringEquals = { "ec2:Owner" = ["amazon", local.account_id] } }
      },
      {
        Sid       = "LaunchTagged"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource  = "${local.ec2_arn}:instance/*"
        Condition = { StringEquals = { "aws:RequestTag/Deployment" = var.deployment_name } }
      },
      {
        Sid      = "TagWhatIsMade"
        Effect   = "Allow"
        Action   = "ec2:CreateTags"
        Resource = ["${local.ec2_arn}:instance/*", "${local.ec2_arn}:volume/*", local.snapshots_arn]
        Condition = {
          StringEquals = {
            "ec2:CreateAction"          = ["CreateFleet", "RunInstances", "CreateVolume", "CreateSnapshot"]
            "aws:RequestTag/Deployment" = var.deployment_name
          }
        }
      },
      {
        Sid      = "Label"
        Effect   = "Allow"
        Action   = "ec2:CreateTags"
        Resource = ["${local.ec2_arn}:instance/*", "${local.ec2_arn}:volume/*"]
        Condition = {
          StringEquals = { "aws:ResourceTag/Deployment" = var.deployment_name }
          "ForAllValues:StringEquals" = {
            "aws:TagKeys" = ["Name", "Deployment", "Status", "MachineId", "ReservedInstanceId", "Image", "InstanceId", "UserId", "VolumeId", "Fresh"]
          }
        }
      },
      {
        Sid    = "Machines"
        Effect = "Allow"
        Action = [
          "ec2:TerminateInstances",
          "ec2:StartInstances",
          "ec2:ModifyInstanceCreditSpecification",
          "ec2:AttachVolume",
          "ec2:DetachVolume",
        ]
        Resource  = "${local.ec2_arn}:instance/*"
        Condition = local.own_machines
      },
      {
        Sid       = "GiveMachinesTheirRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = aws_iam_role.machine.arn
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
      {
        # Once in the life of an account, EC2 makes these by itself, in the name of whoever first asks for Spot machines.
        Sid    = "FirstSpotMachine"
        Effect = "Allow"
        Action = "iam:CreateServiceLinkedRole"
        Resource = [
          "${local.arn}:iam::${local.account_id}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
          "${local.arn}:iam::${local.account_id}:role/aws-service-role/ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet",
        ]
        Condition = { StringEquals = { "iam:AWSServiceName" = ["spot.amazonaws.com", "ec2fleet.amazonaws.com"] } }
      },
      {
        Sid      = "CommandDocument"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = "${local.arn}:ssm:${var.aws_region}::document/AWS-RunShellScript"
      },
      {
        Sid       = "CommandMachines"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "${local.ec2_arn}:instance/*"
        Condition = { StringEquals = { "ssm:resourceTag/Deployment" = var.deployment_name } }
      },
    ]

    volumes = [
      {
        Sid       = "MakeVolume"
        Effect    = "Allow"
        Action    = "ec2:CreateVolume"
        Resource  = "${local.ec2_arn}:volume/*"
        Condition = { StringEquals = { "aws:RequestTag/Deployment" = var.deployment_name } }
      },
      {
        Sid       = "MakeVolumeFromRestorePoint"
        Effect    = "Allow"
        Action    = "ec2:CreateVolume"
        Resource  = local.snapshots_arn
        Condition = local.own_machines
      },
      {
        Sid       = "Volumes"
        Effect    = "Allow"
        Action    = ["ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume"]
        Resource  = "${local.ec2_arn}:volume/*"
        Condition = local.own_machines
      },
      {
        Sid       = "CaptureVolume"
        Effect    = "Allow"
        Action    = "ec2:CreateSnapshot"
        Resource  = "${local.ec2_arn}:volume/*"
        Condition = local.own_machines
      },
      {
        Sid       = "MakeRestorePoint"
        Effect    = "Allow"
        Action    = "ec2:CreateSnapshot"
        Resource  = local.snapshots_arn
        Condition = { StringEquals = { "aws:RequestTag/Deployment" = var.deployment_name } }
      },
      {
        Sid       = "RemoveRestorePoint"
        Effect    = "Allow"
        Action    = "ec2:DeleteSnapshot"
        Resource  = local.snapshots_arn
        Condition = local.own_machines
      },
    ]

    users = concat([
      {
        Sid      = "LookAtSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:ListSecrets"
        Resource = "*"
      },
      {
        Sid    = "Vault"
        Effect = "Allow"
        Action = [
          "secretsmanager:CreateSecret",
          "secretsmanager:PutSecretValue",
          "secretsmanager:GetSecretValue",
          "secretsmanager:DescribeSecret",
          "secretsmanager:TagResource",
          "secretsmanager:UntagResource",
          "secretsmanager:PutResourcePolicy",
          "secretsmanager:DeleteSecret",
          "secretsmanager:RestoreSecret",
        ]
        Resource = local.secrets_arn
      },
      {
        Sid      = "FindImage"
        Effect   = "Allow"
        Action   = "ecr:DescribeImages"
        Resource = aws_ecr_repository.this["gateway"].arn
      },
      {
        Sid      = "Notices"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
        Resource = aws_sqs_queue.notices.arn
      },
      {
        Sid      = "LookAtLogs"
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "*"
      },
      {
        # For refused keys: one search of all gateways' lines.
        Sid      = "SearchGatewayLogs"
        Effect   = "Allow"
        Action   = "logs:FilterLogEvents"
        Resource = "${aws_cloudwatch_log_group.gateways.arn}:*"
      },
      {
        Sid       = "Meter"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = "OpenClawHosted" } }
      },
      ],
      [for statement in local.route_statements : statement if local.balanced],
      # It signs addresses with these; machines have no right on the bucket.
      [for bucket in compact([var.archives_bucket]) : {
        Sid      = "Archives"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        Resource = "${local.arn}:s3:::${bucket}/${var.deployment_name}/*"
      }],
      [for bucket in compact([var.archives_bucket]) : {
        Sid       = "BroughtArchives"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = "${local.arn}:s3:::${bucket}"
        Condition = { StringLike = { "s3:prefix" = "${var.deployment_name}/brought/*" } }
    }])

    # As control-plane.sh and Docker need it.
    own-machine = concat([
      local.agent_statement,
      {
        Sid      = "LogInToRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid      = "PullControlPlane"
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = aws_ecr_repository.this["control-plane"].arn
      },
      {
        Sid      = "WriteLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.platform.arn}:*"
      },
      ],
      [for arn in module.database[*].secret_arn : {
        Sid      = "DatabasePassword"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = arn
      }],
      [for arn in compact([var.settings_secret]) : {
        Sid      = "SecretSettings"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = arn
      }],
      [for arn in aws_ebs_volume.platform[*].arn : {
        Sid       = "OwnVolume"
        Effect    = "Allow"
        Action    = "ec2:AttachVolume"
        Resource  = [arn, "${local.ec2_arn}:instance/*"]
        Condition = local.own_control_plane
      }],
      [for arn in aws_eip.edge[*].arn : {
        Sid       = "OwnAddress"
        Effect    = "Allow"
        Action    = "ec2:AssociateAddress"
        Resource  = [arn, "${local.ec2_arn}:instance/*", "${local.ec2_arn}:network-interface/*"]
        Condition = local.own_control_plane
    }])
  }
}

resource "aws_iam_role" "machine" {
  name               = "${var.deployment_name}-machine"
  description        = "A machine of a user: may read its own secret, pull the gateway, write its log, and take commands"
  assume_role_policy = local.assumed_by_ec2
}

resource "aws_iam_role_policy" "machine" {
  name   = "machine"
  role   = aws_iam_role.machine.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.machine_statements })
}

resource "aws_iam_instance_profile" "machine" {
  name = "${var.deployment_name}-machine"
  role = aws_iam_role.machine.name
}

resource "aws_iam_role" "control_plane" {
  name               = "${var.deployment_name}-control-plane"
  description        = "The control plane: looks after the machines, secrets and routes of ${var.deployment_name}, and no others"
  assume_role_policy = local.assumed_by_ec2
}

resource "aws_iam_policy" "control_plane" {
  for_each    = local.control_plane_statements
  name        = "${var.deployment_name}-control-plane-${each.key}"
  description = "What the control plane of ${var.deployment_name} calls: ${each.key}"
  policy      = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_iam_role_policy_attachment" "control_plane" {
  for_each   = aws_iam_policy.control_plane
  role       = aws_iam_role.control_plane.name
  policy_arn = each.value.arn
}

resource "aws_iam_instance_profile" "control_plane" {
  name = "${var.deployment_name}-control-plane"
  role = aws_iam_role.control_plane.name
}
