"""The account as a whole."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from lab.cloud.server import LabCloud
from tests.lab.cloud.support import Site


def test_everything_that_costs_money_is_counted(site: Site) -> None:
    empty = site.cloud.inventory()
    assert (empty["load_balancers"], empty["listeners"], empty["launch_templates"], empty["rules"]) == (1, 1, 2, 0)
    instance_id, group = site.launch()[0], site.target_group("one")
    assert site.state(instance_id) == "running"
    site.rule(5, group)
    site.client("elbv2").register_targets(TargetGroupArn=group, Targets=[{"Id": instance_id}])
    site.client("secretsmanager").create_secret(Name="openclaw/oc-1", SecretString="s3cret")
    kinds = ("instances", "volumes", "network_interfaces", "addresses", "target_groups", "rules", "targets", "secrets")
    found = site.cloud.inventory()
    assert {kind: found[kind] - empty[kind] for kind in kinds} == {**dict.fromkeys(kinds, 1), "volumes": 2}
    site.client("secretsmanager").delete_secret(SecretId="openclaw/oc-1", RecoveryWindowInDays=7)
    found = site.cloud.inventory()
    assert (found["secrets"], found["secrets_pending_deletion"]) == (0, 1)
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    site.cloud.settle()
    found = site.cloud.inventory()
    assert (found["instances"], found["volumes"], found["network_interfaces"], found["addresses"]) == (0, 1, 0, 0)


def test_the_metadata_of_a_machine_has_its_tags_zone_and_role(site: Site) -> None:
    (instance_id,) = site.launch()
    found = site.cloud.metadata(instance_id)
    assert (found.instance_id, found.zone, found.region, found.role_name) == (instance_id, "us-west-2a", "us-west-2", "machine")
    assert found.tags["Pool"] == "spares"
    assert set(found.credentials) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    with pytest.raises(LookupError):
        site.cloud.metadata("i-0000000000000000f")


def test_a_machine_without_a_role_has_no_credentials(site: Site) -> None:
    made = site.client("ec2").run_instances(ImageId="ami-0abcdef1234567890", InstanceType="t3.small", MinCount=1, MaxCount=1)
    found = site.cloud.metadata(made["Instances"][0]["InstanceId"])
    assert (found.role_name, dict(found.credentials)) == (None, {})


def test_a_secret_is_made_once_per_token_and_comes_back_from_deletion(site: Site) -> None:
    vault = site.client("secretsmanager")
    token = "0" * 32
    first = vault.create_secret(Name="openclaw/oc-1", SecretString="one", ClientRequestToken=token)
    assert vault.create_secret(Name="openclaw/oc-1", SecretString="one", ClientRequestToken=token)["ARN"] == first["ARN"]
    with pytest.raises(ClientError, match="ResourceExistsException"):
        vault.create_secret(Name="openclaw/oc-1", SecretString="two", ClientRequestToken="1" * 32)
    vault.delete_secret(SecretId="openclaw/oc-1", RecoveryWindowInDays=7)
    with pytest.raises(ClientError, match="InvalidRequestException"):
        vault.get_secret_value(SecretId="openclaw/oc-1")
    vault.restore_secret(SecretId="openclaw/oc-1")
    assert vault.get_secret_value(SecretId="openclaw/oc-1")["SecretString"] == "one"


def test_a_deleted_secret_is_gone_when_its_days_are_over_and_those_are_thirty_at_most(site: Site) -> None:
    vault = site.client("secretsmanager")
    vault.create_secret(Name="openclaw/oc-1", SecretString="one")
    with pytest.raises(ClientError, match="between 7 and 30 days"):
        vault.delete_secret(SecretId="openclaw/oc-1", RecoveryWindowInDays=31)
    vault.delete_secret(SecretId="openclaw/oc-1", RecoveryWindowInDays=30)
    site.pass_time(30 * 86_400 - 1)
    site.cloud.tick()
    vault.restore_secret(SecretId="openclaw/oc-1")
    vault.delete_secret(SecretId="openclaw/oc-1", RecoveryWindowInDays=30)
    site.pass_time(30 * 86_400)
    site.cloud.tick()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        vault.restore_secret(SecretId="openclaw/oc-1")


async def test_the_control_planes_own_client_works(site: Site) -> None:
    (instance_id,) = site.launch()
    async with get_session().create_client(
        "ec2", region_name="us-west-2", endpoint_url=site.cloud.endpoint_url, aws_access_key_id="AKIAACCOUNT", aws_secret_access_key="any"
    ) as ec2:
        pages = ec2.get_paginator("describe_instances").paginate()
        listed = [each["InstanceId"] async for page in pages for reservation in page["Reservations"] for each in reservation["Instances"]]
    assert listed == [instance_id]


def test_the_account_is_served_at_more_addresses_than_one(site: Site) -> None:
    assert site.cloud.listen("127.9.0.1", site.cloud.port) == site.cloud.port
    answer = httpx.post(
        f"http://127.9.0.1:{site.cloud.port}",
        data={"Action": "DescribeVpcs", "Version": "2016-11-15"},
        headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAACCOUNT/20270115/us-west-2/ec2/aws4_request, SignedHeaders=host, Signature=0"
        },
    )
    assert site.vpc_id in answer.text


def test_a_fault_of_the_lab_itself_is_told_and_kept(site: Site) -> None:
    def hook(call: object, when: str) -> None:
        raise ZeroDivisionError(f"{call}{when}")

    site.cloud.faults.hook = hook
    with pytest.raises(ClientError, match="InternalFailure"):
        site.client("ec2").describe_vpcs()
    assert "ZeroDivisionError" in site.cloud.crashes.pop()


def test_a_lab_that_ends_leaves_another_one_of_the_process_at_work(site: Site, lab_session: Any) -> None:
    other = LabCloud()
    keys = {"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "any"}
    client = lab_session.create_client("ec2", region_name=other.region, endpoint_url=other.endpoint_url, **keys)
    client.describe_instances()
    other.close()
    assert [call.action for call in other.calls] == ["ec2:DescribeInstances"]
    assert list(site.cloud.calls) == [], "each is told of its own calls"
    site.cloud.faults.fail("ec2:DescribeInstances", "RequestLimitExceeded")
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        site.client("ec2").describe_instances()
