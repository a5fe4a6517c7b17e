"""Every call that a migration makes to the older system's account. An operator's credentials make them: the platform's own role has none
of them (docs/migration.md)."""

from __future__ import annotations

from openclaw_hosted.adapters.aws.sdk import Operation


class OldCall(Operation):
    """Operations by the SDK's name of the service. IAM calls `elbv2` `elasticloadbalancing`, and `efs` `elasticfilesystem`."""

    DESCRIBE_CLUSTERS = "ecs:DescribeClusters"
    LIST_SERVICES = "ecs:ListServices"
    DESCRIBE_SERVICES = "ecs:DescribeServices"
    UPDATE_SERVICE = "ecs:UpdateService"
    DELETE_SERVICE = "ecs:DeleteService"
    LIST_TASKS = "ecs:ListTasks"
    DESCRIBE_TASKS = "ecs:DescribeTasks"
    LIST_TASK_DEFINITIONS = "ecs:ListTaskDefinitions"
    DESCRIBE_TASK_DEFINITION = "ecs:DescribeTaskDefinition"
    DEREGISTER_TASK_DEFINITION = "ecs:DeregisterTaskDefinition"
    DESCRIBE_CAPACITY_PROVIDERS = "ecs:DescribeCapacityProviders"
    PUT_CAPACITY_PROVIDERS = "ecs:PutClusterCapacityProviders"
    DELETE_CAPACITY_PROVIDER = "ecs:DeleteCapacityProvider"
    DELETE_CLUSTER = "ecs:DeleteCluster"
    DESCRIBE_ACCESS_POINTS = "efs:DescribeAccessPoints"
    DESCRIBE_FILE_SYSTEMS = "efs:DescribeFileSystems"
    DESCRIBE_MOUNT_TARGETS = "efs:DescribeMountTargets"
    DELETE_MOUNT_TARGET = "efs:DeleteMountTarget"
    DELETE_FILE_SYSTEM = "efs:DeleteFileSystem"
    DESCRIBE_RULES = "elbv2:DescribeRules"
    MODIFY_RULE = "elbv2:ModifyRule"
    DESCRIBE_GROUPS = "elbv2:DescribeTargetGroups"
    DESCRIBE_BALANCER_TAGS = "elbv2:DescribeTags"
    DELETE_GROUP = "elbv2:DeleteTargetGroup"
    DESCRIBE_SCALING_GROUPS = "autoscaling:DescribeAutoScalingGroups"
    DELETE_SCALING_GROUP = "autoscaling:DeleteAutoScalingGroup"
    DESCRIBE_TEMPLATES = "ec2:DescribeLaunchTemplates"
    DELETE_TEMPLATE = "ec2:DeleteLaunchTemplate"
    DESCRIBE_NAT_GATEWAYS = "ec2:DescribeNatGateways"
    DELETE_NAT_GATEWAY = "ec2:DeleteNatGateway"
    DESCRIBE_ADDRESSES = "ec2:DescribeAddresses"
    RELEASE_ADDRESS = "ec2:ReleaseAddress"
    GET_SECRET = "secretsmanager:GetSecretValue"
    LIST_SECRETS = "secretsmanager:ListSecrets"
    DELETE_SECRET = "secretsmanager:DeleteSecret"
    DESCRIBE_LOG_GROUPS = "logs:DescribeLogGroups"
    LOG_GROUP_TAGS = "logs:ListTagsForResource"
    DELETE_LOG_GROUP = "logs:DeleteLogGroup"
