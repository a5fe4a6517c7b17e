"""The narrow client: every call to AWS that this platform makes, and nothing else.

`Call` is what terraform/iam.tf is compared with; whoever needs another call adds it here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

Answer = Mapping[str, Any]
"""An answer in the API's own shape, as the AWS reference has it."""


class Operation(StrEnum):
    """Operations of AWS, such as `ec2:CreateFleet`."""

    @property
    def service(self) -> str:
        """As the SDK calls the service."""
        return self.value.partition(":")[0]

    @property
    def operation(self) -> str:
        """As the API reference calls the operation."""
        return self.value.partition(":")[2]


class Call(Operation):
    """Operations by the name under which IAM grants them, but for the prefixes `elbv2` and `service-quotas`, which are
    `elasticloadbalancing` and `servicequotas` there."""

    CREATE_FLEET = "ec2:CreateFleet"
    DESCRIBE_INSTANCES = "ec2:DescribeInstances"
    TERMINATE_INSTANCES = "ec2:TerminateInstances"
    START_INSTANCES = "ec2:StartInstances"
    CREATE_TAGS = "ec2:CreateTags"
    MODIFY_CREDITS = "ec2:ModifyInstanceCreditSpecification"
    DESCRIBE_VOLUMES = "ec2:DescribeVolumes"
    CREATE_VOLUME = "ec2:CreateVolume"
    ATTACH_VOLUME = "ec2:AttachVolume"
    DETACH_VOLUME = "ec2:DetachVolume"
    DELETE_VOLUME = "ec2:DeleteVolume"
    CREATE_SNAPSHOT = "ec2:CreateSnapshot"
    DESCRIBE_SNAPSHOTS = "ec2:DescribeSnapshots"
    DELETE_SNAPSHOT = "ec2:DeleteSnapshot"
    DESCRIBE_VPCS = "ec2:DescribeVpcs"
    DESCRIBE_SUBNETS = "ec2:DescribeSubnets"
    DESCRIBE_SECURITY_GROUPS = "ec2:DescribeSecurityGroups"
    DESCRIBE_TYPES = "ec2:DescribeInstanceTypes"
    DESCRIBE_TEMPLATE_VERSIONS = "ec2:DescribeLaunchTemplateVersions"
    SEND_COMMAND = "ssm:SendCommand"
    GET_INVOCATION = "ssm:GetCommandInvocation"
    DESCRIBE_AGENTS = "ssm:DescribeInstanceInformation"
    CREATE_SECRET = "secretsmanager:CreateSecret"
    PUT_SECRET = "secretsmanager:PutSecretValue"
    GET_SECRET = "secretsmanager:GetSecretValue"
    DESCRIBE_SECRET = "secretsmanager:DescribeSecret"
    TAG_SECRET = "secretsmanager:TagResource"
    UNTAG_SECRET = "secretsmanager:UntagResource"
    LOCK_SECRET = "secretsmanager:PutResourcePolicy"
    DELETE_SECRET = "secretsmanager:DeleteSecret"
    RESTORE_SECRET = "secretsmanager:RestoreSecret"
    LIST_SECRETS = "secretsmanager:ListSecrets"
    DESCRIBE_BALANCERS = "elbv2:DescribeLoadBalancers"
    DESCRIBE_LISTENERS = "elbv2:DescribeListeners"
    DESCRIBE_RULES = "elbv2:DescribeRules"
    CREATE_RULE = "elbv2:CreateRule"
    MODIFY_RULE = "elbv2:ModifyRule"
    DELETE_RULE = "elbv2:DeleteRule"
    DESCRIBE_GROUPS = "elbv2:DescribeTargetGroups"
    CREATE_GROUP = "elbv2:CreateTargetGroup"
    MODIFY_GROUP = "elbv2:ModifyTargetGroupAttributes"
    DELETE_GROUP = "elbv2:DeleteTargetGroup"
    REGISTER_TARGETS = "elbv2:RegisterTargets"
    DEREGISTER_TARGETS = "elbv2:DeregisterTargets"
    DESCRIBE_HEALTH = "elbv2:DescribeTargetHealth"
    DESCRIBE_IMAGES = "ecr:DescribeImages"
    DESCRIBE_LOG_GROUPS = "logs:DescribeLogGroups"
    FILTER_LOGS = "logs:FilterLogEvents"
    PUT_METRICS = "cloudwatch:PutMetricData"
    GET_QUOTA = "service-quotas:GetServiceQuota"
    RECEIVE_MESSAGES = "sqs:ReceiveMessage"
    DELETE_MESSAGE = "sqs:DeleteMessage"
    WHO_AM_I = "sts:GetCallerIdentity"


NOT_REPEATED: Final = frozenset({Call.CREATE_SNAPSHOT})
"""Calls without a token of their own, each of which makes one more: after a lost answer, whoever asked has to look first."""


class Sdk(Protocol):
    """Makes calls. Errors are `domain.errors`; `adapters.aws.errors.code_of` tells AWS's own code of one."""

    async def call(self, call: Operation, **parameters: Any) -> Answer:
        """One call, with parameters in the API's own names. Repeated by itself when AWS throttles or does not answer, as far as the
        retry budget of that API goes; those of `NOT_REPEATED` only where AWS throttles."""
        ...

    def pages(self, call: Operation, **parameters: Any) -> AsyncIterator[Answer]:
        """All pages of a listing."""
        ...
