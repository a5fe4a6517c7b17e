"""What IAM decides on AWS for machines, and bare moto does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import IMAGE, Site

OWN_SECRET = {
    "Effect": "Allow",
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "arn:aws:secretsmanager:*:*:secret:openclaw/*",
    "Condition": {
        "StringEquals": {"secretsmanager:ResourceTag/InstanceArn": "${ec2:SourceInstanceARN}"},
        "Null": {"ec2:SourceInstanceARN": "false"},
    },
}
OWN_TAGS = {
    "Effect": "Allow",
    "Action": "ec2:CreateTags",
    "Resource": "arn:aws:ec2:*:*:instance/*",
    "Condition": {"StringEquals": {"aws:ARN": "${ec2:SourceInstanceARN}"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["Health"]}},
}


def allow(site: Site, *statements: dict[str, Any], role: str = "machine") -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    site.client("iam").put_role_policy(RoleName=role, PolicyName="policy", PolicyDocument=document)


def arn(instance_id: str) -> str:
    return f"arn:aws:ec2:us-west-2:123456789012:instance/{instance_id}"


def secret_of(site: Site, name: str, instance_id: str, value: str = "s3cret") -> str:
    tags = [{"Key": "InstanceArn", "Value": arn(instance_id)}]
    return str(site.client("secretsmanager").create_secret(Name=name, SecretString=value, Tags=tags)["ARN"])


def machine(site: Site, instance_id: str, service: str) -> Any:
    """A client of the API on a machine."""
    given = site.cloud.metadata(instance_id).credentials
    return site.client(service, given["AccessKeyId"], given["SecretAccessKey"], given["Token"])


def test_a_machine_reads_its_own_secret_and_no_other(site: Site) -> None:
    allow(site, OWN_SECRET)
    mine, other = site.launch(2)
    secret_of(site, "openclaw/mine", mine)
    assert machine(site, mine, "secretsmanager").get_secret_value(SecretId="openclaw/mine")["SecretString"] == "s3cret"
    with pytest.raises(ClientError, match="AccessDeniedException"):
        machine(site, other, "secretsmanager").get_secret_value(SecretId="openclaw/mine")
    assert [(call.caller, call.error) for call in site.cloud.calls.of("secretsmanager:GetSecretValue")] == [
        (mine, None),
        (other, "AccessDeniedException"),
    ]


def test_a_machine_may_do_nothing_that_its_role_does_not_name(site: Site) -> None:
    allow(site, OWN_SECRET)
    (instance_id,) = site.launch()
    secret_of(site, "openclaw/mine", instance_id)
    vault = machine(site, instance_id, "secretsmanager")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        vault.put_secret_value(SecretId="openclaw/mine", SecretString="other")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        vault.list_secrets()
    with pytest.raises(ClientError, match="AccessDeniedException"):
        vault.get_secret_value(SecretId="openclaw/absent")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        machine(site, instance_id, "ec2").describe_instances()


def test_a_machine_tags_itself_with_the_key_that_it_may_and_not_its_neighbour(site: Site) -> None:
    allow(site, OWN_TAGS)
    mine, other = site.launch(2)
    ec2 = machine(site, mine, "ec2")
    ec2.create_tags(Resources=[mine], Tags=[{"Key": "Health", "Value": "ok"}])
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.create_tags(Resources=[mine], Tags=[{"Key": "UserId", "Value": "me"}])
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.create_tags(Resources=[mine, other], Tags=[{"Key": "Health", "Value": "ok"}])


def test_images_can_be_granted_by_their_owner(site: Site) -> None:
    images = {
        "Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*::image/*",
        "Condition": {"StringEquals": {"ec2:Owner": ["amazon", "123456789012"]}},
    }  # fmt: skip
    rest = [f"arn:aws:ec2:*:*:{kind}/*" for kind in ("instance", "volume", "network-interface")]
    allow(site, images, {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": rest})
    (mine,) = site.launch()
    ec2 = machine(site, mine, "ec2")
    own = site.client("ec2").create_image(InstanceId=mine, Name="own")["ImageId"]
    for image in (IMAGE, own):
        ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1)
    site.cloud.ec2.amis[own].owner_id = "999999999999"
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.run_instances(ImageId=own, InstanceType="t3.small", MinCount=1, MaxCount=1)


def test_a_secrets_own_policy_denies_whatever_the_role_may(site: Site) -> None:
    allow(site, {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    mine, other = site.launch(2)
    secret_of(site, "openclaw/mine", mine)
    deny = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
                "Condition": {"StringNotEquals": {"ec2:SourceInstanceARN": arn(mine)}},
            }
        ],
    }
    site.client("secretsmanager").put_resource_policy(SecretId="openclaw/mine", ResourcePolicy=json.dumps(deny))
    assert machine(site, mine, "secretsmanager").get_secret_value(SecretId="openclaw/mine")["SecretString"] == "s3cret"
    with pytest.raises(ClientError, match="explicit deny"):
        machine(site, other, "secretsmanager").get_secret_value(SecretId="openclaw/mine")


def test_credentials_are_the_machines_own_and_their_signature_is_checked(site: Site) -> None:
    allow(site, OWN_SECRET)
    mine, other = site.launch(2)
    secret_of(site, "openclaw/mine", mine)
    given, others = site.cloud.metadata(mine).credentials, site.cloud.metadata(other).credentials
    assert given == site.cloud.metadata(mine).credentials
    assert given["AccessKeyId"] != others["AccessKeyId"]
    forged = site.client("secretsmanager", given["AccessKeyId"], others["SecretAccessKey"], given["Token"])
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        forged.get_secret_value(SecretId="openclaw/mine")
    stranger = site.client("secretsmanager", "ASIAAAAAAAAAAAAAAAAA", "any", "any")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        stranger.get_secret_value(SecretId="openclaw/mine")
    site.pass_time(7 * 3600)
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        machine_with(site, given).get_secret_value(SecretId="openclaw/mine")


def machine_with(site: Site, given: Any) -> Any:
    return site.client("secretsmanager", given["AccessKeyId"], given["SecretAccessKey"], given["Token"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_machine_signs_with_curl(site: Site) -> None:
    allow(site, OWN_SECRET)
    (instance_id,) = site.launch()
    secret_of(site, "openclaw/mine", instance_id)
    given = site.cloud.metadata(instance_id).credentials
    answer = subprocess.run(
        [
            *("curl", "-s", site.cloud.endpoint_url, "--aws-sigv4", "aws:amz:us-west-2:secretsmanager"),
            *("--user", f"{given['AccessKeyId']}:{given['SecretAccessKey']}", "-H", f"X-Amz-Security-Token: {given['Token']}"),
            *("-H", "X-Amz-Target: secretsmanager.GetSecretValue", "-H", "Content-Type: application/x-amz-json-1.1"),
            *("-d", json.dumps({"SecretId": "openclaw/mine"})),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout)["SecretString"] == "s3cret"


def test_a_machine_writes_to_the_streams_of_its_group_and_reads_none(site: Site) -> None:
    writing = ["logs:CreateLogStream", "logs:PutLogEvents"]
    allow(site, {"Effect": "Allow", "Action": writing, "Resource": "arn:aws:logs:us-west-2:123456789012:log-group:/ours:*"})
    for group in ("/ours", "/ours-not"):
        site.client("logs").create_log_group(logGroupName=group)
        site.client("logs").create_log_stream(logGroupName=group, logStreamName="there")
    logs = machine(site, site.launch()[0], "logs")
    event = {"timestamp": int(time.time() * 1000), "message": "a line"}
    logs.create_log_stream(logGroupName="/ours", logStreamName="new")
    logs.put_log_events(logGroupName="/ours", logStreamName="new", logEvents=[event])
    refused: list[Callable[[], Any]] = [
        lambda: logs.create_log_stream(logGroupName="/ours-not", logStreamName="new"),
        lambda: logs.put_log_events(logGroupName="/ours-not", logStreamName="there", logEvents=[event]),
        lambda: logs.get_log_events(logGroupName="/ours", logStreamName="new"),
        lambda: logs.filter_log_events(logGroupName="/ours"),
        lambda: logs.describe_log_streams(logGroupName="/ours"),
        lambda: logs.delete_log_stream(logGroupName="/ours", logStreamName="there"),
        lambda: logs.create_log_group(logGroupName="/new"),
    ]
    for each in refused:
        with pytest.raises(ClientError, match="AccessDeniedException"):
            each()


def test_a_caller_is_told_who_it_is(site: Site) -> None:
    (instance_id,) = site.launch()
    assert machine(site, instance_id, "sts").get_caller_identity()["Arn"] == f"arn:aws:sts::123456789012:assumed-role/machine/{instance_id}"
    assert site.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_a_session_of_an_assumed_role_is_held_to_it(site: Site) -> None:
    allow(site, {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"})
    given = site.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/machine", RoleSessionName="me")["Credentials"]
    ec2 = site.client("ec2", given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert ec2.describe_vpcs()["Vpcs"]
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_subnets()


def test_the_control_plane_can_be_held_to_a_role(site: Site) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    site.client("iam").create_role(RoleName="platform", AssumeRolePolicyDocument=json.dumps(trust))
    launching = {"Effect": "Allow", "Action": ["ec2:RunInstances", "ec2:CreateTags"], "Resource": "*"}
    allow(site, launching, role="platform")
    site.cloud.enforce("platform")
    with pytest.raises(ClientError, match="iam:PassRole"):
        site.launch()
    site.cloud.enforce(None)
    passing = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": "*",
        "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    }
    allow(site, launching, passing, role="platform")
    site.cloud.enforce("platform")
    (instance_id,) = site.launch()
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        site.client("ec2").terminate_instances(InstanceIds=[instance_id])


def test_a_machine_without_a_shell_reads_its_secret_as_one_with(site: Site) -> None:
    allow(site, OWN_SECRET)
    mine, other = site.launch(2)
    secret_of(site, "openclaw/mine", mine)
    assert site.cloud.secret(mine, "openclaw/mine") == "s3cret"
    with pytest.raises(PermissionError):
        site.cloud.secret(other, "openclaw/mine")
    allow(site, {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"})
    with pytest.raises(LookupError):
        site.cloud.secret(mine, "openclaw/absent")
    assert [call.caller for call in site.cloud.calls.of("secretsmanager:GetSecretValue")] == [mine, other, mine]
