from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from lab.cloud.faults import Faults
from lab.cloud.latency import Delays, Latencies
from lab.cloud.server import LabCloud
from tests.lab.cloud.support import IMAGE, ShellMachines, Site

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="session")
def lab_session() -> Any:
    return botocore.session.Session()


@pytest.fixture(scope="session")
def lab() -> Iterator[Site]:
    now = [0.0]
    machines = ShellMachines()
    cloud = LabCloud(machines=machines, clock=lambda: now[0])
    session = botocore.session.Session()

    @cache
    def client(service: str, access_key: str = "AKIAACCOUNT", signing: str = "any", token: str | None = None) -> Any:
        return session.create_client(
            service,
            region_name="us-west-2",
            endpoint_url=cloud.endpoint_url,
            aws_access_key_id=access_key,
            aws_secret_access_key=signing,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}),
        )

    yield Site(cloud, machines, client, now)
    cloud.close()


@pytest.fixture
def site(lab: Site) -> Iterator[Site]:
    """Everything is instant unless a test sets a delay; the clock moves only when a test moves it."""
    lab.now[0] = 1_800_000_000.0
    cloud, machines = lab.cloud, ShellMachines()
    cloud.machines, cloud.balancers, cloud.registry = machines, None, None
    cloud.delays, cloud.faults, cloud.latencies = Delays(), Faults(), Latencies()
    cloud.reset()
    made = Site(cloud, machines, lab.client, lab.now)
    _network(made)
    _role(made)
    _template(made)
    cloud.calls.clear()
    yield made
    assert cloud.crashes == []


def _network(site: Site) -> None:
    ec2, elbv2 = site.client("ec2"), site.client("elbv2")
    site.vpc_id = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    for number, zone in enumerate(("us-west-2a", "us-west-2b")):
        subnet = ec2.create_subnet(VpcId=site.vpc_id, CidrBlock=f"10.1.{number * 16}.0/20", AvailabilityZone=zone)
        site.subnets[zone] = subnet["Subnet"]["SubnetId"]
    site.group_id = ec2.create_security_group(GroupName="machines", Description="machines", VpcId=site.vpc_id)["GroupId"]
    balancer = elbv2.create_load_balancer(Name="edge", Subnets=list(site.subnets.values()))["LoadBalancers"][0]
    site.balancer_arn = balancer["LoadBalancerArn"]
    site.listener_arn = elbv2.create_listener(
        LoadBalancerArn=site.balancer_arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}],
    )["Listeners"][0]["ListenerArn"]


def _role(site: Site) -> None:
    iam = site.client("iam")
    iam.create_role(RoleName="machine", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName="machine")
    iam.add_role_to_instance_profile(InstanceProfileName="machine", RoleName="machine")


def _template(site: Site) -> None:
    interface = {"DeviceIndex": 0, "Groups": [site.group_id], "AssociatePublicIpAddress": True}
    fleets = {
        "ImageId": IMAGE,
        "InstanceType": "t3.small",
        "UserData": base64.b64encode(b"#!/bin/sh\necho booted\n").decode(),
        "IamInstanceProfile": {"Name": "machine"},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
        "CreditSpecification": {"CpuCredits": "unlimited"},
        "NetworkInterfaces": [interface],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 4, "VolumeType": "gp3", "DeleteOnTermination": False, "Encrypted": True}}
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Pool", "Value": "spares"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Kind", "Value": "state"}]},
        ],
    }
    by_hand = {
        **fleets,
        "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}},
        "NetworkInterfaces": [{**interface, "SubnetId": site.subnets["us-west-2a"]}],
    }
    site.template_id = site.template("machines", by_hand)
    site.fleet_template_id = site.template("fleets", fleets)
