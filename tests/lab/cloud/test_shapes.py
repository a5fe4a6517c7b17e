"""Calls that do not fit the models of AWS's services are refused, as AWS does it and moto does not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import Site


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "says"),
    [
        ("ec2", "create_volume", {"AvailabilityZone": "us-west-2a", "Size": 1, "VolumeType": "gp9"}, "VolumeType is 'gp9' and none of"),
        ("elbv2", "describe_rules", {"ListenerArn": "arn", "PageSize": 401}, "PageSize is 401, more than 400"),
        ("secretsmanager", "list_secrets", {"MaxResults": 101}, "MaxResults is 101, more than 100"),
        ("secretsmanager", "create_secret", {"Name": "x" * 513, "SecretString": "s"}, "length of CreateSecret.Name is 513, more than 512"),
        ("ssm", "send_command", {"DocumentName": "a b", "InstanceIds": ["i-0123456789abcdef0"]}, "does not match"),
        ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript", "InstanceIds": [f"i-{n:017x}" for n in range(51)]}, "more than 50"),
        ("ecr", "describe_images", {"repositoryName": "Upper"}, "does not match"),
    ],
)
def test_a_call_that_does_not_fit_its_model_is_refused(site: Site, service: str, operation: str, parameters: Any, says: str) -> None:
    with pytest.raises(ClientError, match=says):
        getattr(site.client(service), operation)(**parameters)


def test_a_call_that_fits_passes(site: Site) -> None:
    site.client("secretsmanager").list_secrets(MaxResults=100, Filters=[{"Key": "name", "Values": ["openclaw/"]}])
