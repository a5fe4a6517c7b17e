"""From an empty account to a running platform and back: apply, plan again, create an instance, destroy. With the real AWS provider."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import botocore.session
import httpx
import pytest

from lab.cloud.server import LabCloud
from lab.plane.balancer import LabBalancers
from lab.plane.plain import PlainMachines
from openclaw_hosted import datadir
from openclaw_hosted.bootstrap import Platform, open_platform
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP, Actor, Party, Via
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, CredentialsChange
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.services.instances import CreateRequest
from openclaw_hosted.settings import load_settings
from tests.support.waiting import until
from tests.terraform.support import Terraform, cheapest, copied

pytestmark = [pytest.mark.terraform, pytest.mark.long]
KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIALABLABLABLABLABL", "AWS_SECRET_ACCESS_KEY": "lab", "AWS_REGION": "us-west-2"}
VARIABLES: Final = (
    "-var=deletion_protection=false", "-var=pool_spare_count=1", "-var=retention_days=0", "-var=data_volume_gib=1",
    "-var=restore_points_every_hours=0",
)  # fmt: skip
"""A restore point that is under way when the platform ends would be left."""
SQLITE: Final = "-var=database=sqlite"
PORT: Final = 18093
"""Where the platform listens."""
VISITOR: Final = Actor(Party.STRANGER, None, Via.PAGE)
EMAIL: Final = "user@example.com"
PASSWORD: Final = "a-long-password-of-theirs"
WAIT_SECONDS: Final = 120.0
TEMPLATE_TAGS: Final = "moto lists a launch template's own tags among those that it gives to machines"
DESCRIPTION: Final = "moto drops the description of a rule that names a group"
DIFFERENCES: Final = {
    'aws_launch_template.machine["by-hand"]': TEMPLATE_TAGS,
    'aws_launch_template.machine["fleet"]': TEMPLATE_TAGS,
    "aws_launch_template.control_plane": TEMPLATE_TAGS,
    "aws_autoscaling_group.control_plane": "follows the template's version",
    'aws_vpc_security_group_egress_rule.alb_to["control-plane"]': DESCRIPTION,
    'aws_vpc_security_group_egress_rule.alb_to["machine"]': DESCRIPTION,
    "aws_vpc_security_group_ingress_rule.control_plane_from_alb[0]": DESCRIPTION,
    'aws_vpc_security_group_ingress_rule.machine_from["alb"]': DESCRIPTION,
    'aws_vpc_security_group_ingress_rule.machine_from["control-plane"]': DESCRIPTION,
    "module.database[0].aws_vpc_security_group_ingress_rule.database_from_control_plane": DESCRIPTION,
}
"""What a second plan may want to change in the lab, and why it would not on AWS."""

LEFT: Final = {"network_interfaces": "the control plane's machine is moto's alone, which leaves the interface of one that its group ended"}
"""What is in the lab's account after all, and why it would not be in AWS's."""


@dataclass(frozen=True)
class Bare:
    """An account with nothing in it."""

    cloud: LabCloud
    balancers: LabBalancers

    def client(self, service: str) -> Any:
        return botocore.session.Session().create_client(
            service, region_name="us-west-2", endpoint_url=self.cloud.endpoint_url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip

    def assumed(self, role_name: str) -> dict[str, str]:
        """Credentials of a role, as its machine has them."""
        arn = self.client("iam").get_role(RoleName=role_name)["Role"]["Arn"]
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="control-plane")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    def push(self, repository_url: str, tag: str) -> None:
        """A manifest, for machines that pull nothing."""
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "annotations": {"tag": tag}}
        name = repository_url.partition("/")[2]
        self.client("ecr").put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag=tag)

    def address(self) -> str:
        """Where the load balancer answers on this computer."""
        (balancer,) = self.client("elbv2").describe_load_balancers()["LoadBalancers"]
        return f"http://localhost:{self.balancers.address(balancer['LoadBalancerArn'], 80)[1]}"


@pytest.fixture
def bare() -> Iterator[Bare]:
    cloud = LabCloud()
    machines = PlainMachines(cloud.secret, cloud.metadata)
    balancers = LabBalancers(cloud.topology)
    cloud.machines, cloud.balancers = machines, balancers
    try:
        yield Bare(cloud, balancers)
    finally:
        balancers.close()
        machines.close()
        cloud.close()


@pytest.fixture
def terraform(bare: Bare, tmp_path: Path) -> Terraform:
    folder = tmp_path / "work"
    folder.mkdir()
    made = copied(folder)
    return Terraform(made.folder, {**KEYS, "AWS_ENDPOINT_URL": bare.cloud.endpoint_url})


def settings_of(bare: Bare, outputs: dict[str, Any]) -> dict[str, str]:
    """What Terraform printed, but for what is elsewhere in a lab: addresses, the database, where the platform itself listens."""
    given = dict(line.split("=", 1) for line in outputs["web_environment"].splitlines())
    here = {"HOST": "127.0.0.1", "PORT": str(PORT)}
    if given.get("LOAD_BALANCER") == "none":
        return {**given, **here, "PUBLIC_URL": f"http://localhost:{PORT}"}
    return {**given, **here, "PUBLIC_URL": bare.address(), "SHARD_URLS": bare.address()}


@asynccontextmanager
async def running(bare: Bare, outputs: dict[str, Any], folder: Path) -> AsyncIterator[Platform]:
    """The platform on what was applied, with its role's permissions and no others."""
    given = {**settings_of(bare, outputs), **bare.assumed(outputs["control_plane_role_name"])}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**given, "AWS_ENDPOINT_URL": bare.cloud.endpoint_url}.items():
            patch.setenv(name, value)
        patch.setenv("OPENCLAW_HOSTED_DATA_DIR", str(folder))
        settings = load_settings()
        datadir.prepare(settings.data_dir)
        async with open_platform(settings, lambda _: None) as platform, platform.serving_web():
            try:
                await platform.start_edge(lambda _: None)
                async with platform.controlling():
                    yield platform
            finally:
                if platform.provided.edge is not None:
                    await platform.provided.edge.stop()


async def used(platform: Platform) -> None:
    """A user has an instance, opens it, and deletes it; then the operator takes the spares away."""
    accounts = platform.services.accounts
    user = await accounts.create_user(SETUP, EMAIL, PASSWORD, Role.ADMIN)
    signed_in = await accounts.sign_in(VISITOR, EMAIL, PASSWORD)
    instance, _ = await platform.services.instances.create(SETUP.proved(user), CreateRequest("mine", DEFAULT_SETTINGS, CredentialsChange()))
    await until(lambda: is_in(platform, instance.id, Phase.RUNNING), WAIT_SECONDS)
    async with httpx.AsyncClient() as client:
        page = await client.get(f"{platform.address}/{instance.id}/", headers={"Cookie": f"ochs={signed_in.cookie}"})
    assert page.status_code == 200
    assert "<openclaw-app" in page.text
    await platform.services.operations.set_spares(SETUP, 0)
    await platform.services.instances.delete(SETUP.proved(user), instance.id)
    await until(lambda: is_in(platform, instance.id, Phase.PURGED), WAIT_SECONDS)
    for machine in await platform.services.operations.machines(SETUP):
        if machine.state.value == "available":
            await platform.services.operations.retire_spare(SETUP, machine.id)

    async def is_empty() -> bool:
        return not await platform.store.machines.list_live()

    await until(is_empty, WAIT_SECONDS)


async def is_in(platform: Platform, instance_id: InstanceId, phase: Phase) -> bool:
    return (await platform.store.instances.get(instance_id)).phase is phase


@asynccontextmanager
async def applied(bare: Bare, terraform: Terraform, *variables: str) -> AsyncIterator[dict[str, Any]]:
    """What Terraform prints of a whole deployment, in an account that was empty and is so again after the block. The platform may do in it
    what it does, and a second plan changes nothing."""
    before, given = bare.cloud.inventory(), (*VARIABLES, *variables)
    terraform.run("apply", "-auto-approve", "-input=false", "-target=aws_ecr_repository.this", *given)
    bare.push(terraform.outputs()["gateway_repository_url"], "latest")
    terraform.run("apply", "-auto-approve", "-input=false", *given)
    assert changes(terraform, *given).keys() <= DIFFERENCES.keys()
    yield terraform.outputs()
    denied = [call for call in bare.cloud.calls if call.caller == "openclaw-control-plane" and "Denied" in (call.error or "")]
    assert denied == []
    bare.client("secretsmanager").delete_secret(SecretId="openclaw/sealing-key", ForceDeleteWithoutRecovery=True)
    terraform.run("destroy", "-auto-approve", "-input=false", *given)
    after = bare.cloud.inventory()
    assert {kind for kind, count in after.items() if count != before[kind]} <= LEFT.keys()
    assert bare.cloud.crashes == []


async def test_an_account_goes_from_empty_to_a_running_platform_and_back(bare: Bare, terraform: Terraform, tmp_path: Path) -> None:
    async with applied(bare, terraform) as outputs:
        state = (terraform.folder / "terraform.tfstate").read_text(encoding="utf-8")
        password = bare.client("secretsmanager").get_secret_value(SecretId="openclaw-platform/database")["SecretString"]
        assert len(password) == 40
        assert password not in state
        async with running(bare, outputs, tmp_path / "data") as platform:
            await used(platform)


async def test_the_same_without_a_load_balancer(bare: Bare, terraform: Terraform, tmp_path: Path) -> None:
    async with applied(bare, terraform, SQLITE, "-var=load_balancer_count=0") as outputs:
        (address,) = bare.client("ec2").describe_addresses()["Addresses"]
        assert outputs["address"] == f"http://{address['PublicIp']}" == f"http://{outputs['control_plane_address']}"
        assert bare.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
        async with running(bare, outputs, tmp_path / "data") as platform:
            await used(platform)
        assert bare.client("elbv2").describe_target_groups()["TargetGroups"] == []


async def test_the_cheapest_deployment_whose_machines_have_ipv6_only(bare: Bare, terraform: Terraform, tmp_path: Path) -> None:
    """As docs/cost.md has it, but without a name, for which there is no certificate here."""
    (terraform.folder / "terraform.tfvars.json").write_text(json.dumps(cheapest() | {"domain_names": []}), encoding="utf-8")
    async with applied(bare, terraform) as outputs, running(bare, outputs, tmp_path / "data") as platform:
        await until(lambda: has_spare(platform), WAIT_SECONDS)
        (machine,) = machines_of_users(bare)
        assert ip_address(machine["Ipv6Address"]).version == 6
        assert not machine.get("PublicIpAddress")
        assert bare.client("ec2").describe_addresses()["Addresses"] != [], "users reach the control plane by IPv4"
        await used(platform)


async def has_spare(platform: Platform) -> bool:
    return "available" in [machine.state.value for machine in await platform.services.operations.machines(SETUP)]


def machines_of_users(bare: Bare) -> list[dict[str, Any]]:
    running = [{"Name": "instance-state-name", "Values": ["running"]}, {"Name": "tag-key", "Values": ["Status"]}]
    return [each for found in bare.client("ec2").describe_instances(Filters=running)["Reservations"] for each in found["Instances"]]


async def test_a_deployment_does_away_with_its_load_balancer_and_gets_one_again(bare: Bare, terraform: Terraform) -> None:
    replaces_no_machine(terraform)
    async with applied(bare, terraform, SQLITE):
        (volume,) = platforms_volumes(bare)
        for count in (0, 1):
            terraform.run("apply", "-auto-approve", "-input=false", *VARIABLES, SQLITE, f"-var=load_balancer_count={count}")
            (group,) = bare.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
            found = [len(group["TargetGroupARNs"]), len(bare.client("elbv2").describe_load_balancers()["LoadBalancers"])]
            assert (found, len(bare.client("ec2").describe_addresses()["Addresses"])) == ([count, count], 1 - count)
            assert platforms_volumes(bare) == [volume], "the database stays"
        platform_secret(bare)


def replaces_no_machine(terraform: Terraform) -> None:
    """The lab has no instance refresh, by which the control plane's machine is replaced."""
    path = terraform.folder / "control-plane.tf"
    text, found = re.subn(r"  instance_refresh \{\n[\s\S]*?\n  \}\n", "", path.read_text(encoding="utf-8"))
    assert found == 1
    path.write_text(text, encoding="utf-8")


def platforms_volumes(bare: Bare) -> list[str]:
    """The ids of volumes that hold the control plane's data."""
    tagged = [{"Name": "tag:Name", "Values": ["openclaw-control-plane"]}, {"Name": "size", "Values": ["4"]}]
    return [str(each["VolumeId"]) for each in bare.client("ec2").describe_volumes(Filters=tagged)["Volumes"]]


def platform_secret(bare: Bare) -> None:
    """As a platform that ran would leave it."""
    bare.client("secretsmanager").create_secret(Name="openclaw/sealing-key", SecretString="x")


def changes(terraform: Terraform, *variables: str) -> dict[str, Any]:
    """What a plan would do, by address."""
    terraform.run("plan", "-input=false", "-out=again", *variables)
    plan = json.loads(terraform.run("show", "-json", "again").stdout)
    return {
        each["address"]: each["change"]
        for each in plan.get("resource_changes", [])
        if each["change"]["actions"] not in (["no-op"], ["read"])
    }
