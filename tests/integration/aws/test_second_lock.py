"""A secret's own policy, beside the one of the machines' role."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.plain import PlainLab, plain_lab
from lab.site import ROLE
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.machines import LaunchSpec
from tests.support.aws import provided_on

IDS = SystemIds()
WIDE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:*:*:secret:openclaw/*"}
    ],
}
"""As in the source document: with it alone, every machine reads every secret."""


@pytest.fixture(scope="module")
def lab() -> Iterator[PlainLab]:
    with plain_lab() as made:
        made.site.client("iam").put_role_policy(RoleName=ROLE, PolicyName="machine", PolicyDocument=json.dumps(WIDE))
        yield made


async def launched(provided: Provided) -> str:
    return await provided.machines.launch(LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab"))


async def stored(provided: Provided) -> InstanceId:
    instance_id = IDS.instance_id()
    await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token"}, 0)
    return instance_id


def role_arn(lab: PlainLab) -> str:
    return str(lab.site.client("iam").get_role(RoleName=ROLE)["Role"]["Arn"])


async def test_no_other_machine_reads_a_secret_though_the_role_is_allowed_to(lab: PlainLab) -> None:
    async with provided_on(lab.site, MACHINE_ROLE_ARN=role_arn(lab)) as provided:
        mine, other, instance_id = await launched(provided), await launched(provided), await stored(provided)
        await provided.vault.grant(instance_id, mine)
        name = f"openclaw/{instance_id}"
        assert "a-token" in lab.cloud.secret(mine, name)
        with pytest.raises(PermissionError):
            lab.cloud.secret(other, name)
        await provided.vault.grant(instance_id, other)
        assert "a-token" in lab.cloud.secret(other, name)
        with pytest.raises(PermissionError):
            lab.cloud.secret(mine, name)


async def test_the_platform_itself_goes_on_reading(lab: PlainLab) -> None:
    async with provided_on(lab.site, MACHINE_ROLE_ARN=role_arn(lab)) as provided:
        instance_id = await stored(provided)
        await provided.vault.grant(instance_id, await launched(provided))
    async with provided_on(lab.site) as another:
        assert await another.vault.get(instance_id) == {Credential.GATEWAY_TOKEN: "a-token"}


async def test_the_lock_is_set_before_the_tag_and_once_for_each_machine(lab: PlainLab) -> None:
    async with provided_on(lab.site, MACHINE_ROLE_ARN=role_arn(lab)) as provided:
        instance_id, machine = await stored(provided), await launched(provided)
        lab.cloud.calls.clear()
        for _ in range(2):
            await provided.vault.grant(instance_id, machine)
        made = [call.action for call in lab.cloud.calls if call.action.startswith("secretsmanager:")]
        assert made == [Call.LOCK_SECRET, Call.TAG_SECRET]


async def test_without_the_setting_a_grant_is_one_call(lab: PlainLab) -> None:
    async with provided_on(lab.site) as provided:
        instance_id, machine = await stored(provided), await launched(provided)
        lab.cloud.calls.clear()
        await provided.vault.grant(instance_id, machine)
        assert [call.action for call in lab.cloud.calls if call.action.startswith("secretsmanager:")] == [Call.TAG_SECRET]
