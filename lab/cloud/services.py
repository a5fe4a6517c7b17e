"""Moto's response classes that the lab adds to, and the modules that do so."""

from __future__ import annotations

from moto.cloudwatch.responses import CloudWatchResponse
from moto.ec2.responses import EC2Response
from moto.ecr.responses import ECRResponse
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.responses import ELBV2Response
from moto.iam.responses import IamResponse
from moto.logs.responses import LogsResponse
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.servicequotas.responses import ServiceQuotasResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from lab.cloud import (  # noqa: F401 - each puts its operations into the table as it is loaded
    alarms,
    cpu_credits,
    ec2,
    ecr,
    ecs,
    elbv2,
    fleets,
    iam,
    logs,
    market,
    secrets,
    snapshots,
    ssm,
    sts,
    subnets,
    tags,
    targets,
    volumes,
)

CLASSES: dict[str, type] = {
    "cloudwatch": CloudWatchResponse,
    "ec2": EC2Response,
    "ecr": ECRResponse,
    "ecs": EC2ContainerServiceResponse,
    "elbv2": ELBV2Response,
    "iam": IamResponse,
    "logs": LogsResponse,
    "secretsmanager": SecretsManagerResponse,
    "service-quotas": ServiceQuotasResponse,
    "ssm": SimpleSystemManagerResponse,
    "sts": TokenResponse,
}
"""By moto's name of a service."""
