"""The older system on ECS, in the lab: what is read of it, how its routes are moved, and that nothing of it is left in the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest

from lab.cloud.latency import Delays
from lab.cloud.server import LabCloud
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.ecs.legacy import EcsLegacy
from openclaw_hosted.adapters.ecs.mapping import parse_mapping
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import Conflict, InvalidInput
from openclaw_hosted.domain.gateway import Channel, Credential, ModelProvider
from openclaw_hosted.domain.migration import OldState
from openclaw_hosted.domain.old_things import ThingKind, removal_order
from tests.integration.migration.ecs.old_system import OldAccount
from tests.support.clock import HurriedClock

KEY, TOKEN = "sk-ant-of-the-user", "1234:of-the-bot"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LabCloud]:
    made = LabCloud(delays=Delays(remembered_seconds=0.0))
    yield made
    made.close()
    assert made.crashes == []


@pytest.fixture(scope="module")
def client(cloud: LabCloud) -> Any:
    """Made once for each service: reading its model is what takes long."""
    session = botocore.session.Session()
    session.set_credentials("AKIAACCOUNT", "any")

    @cache
    def made(service: str) -> Any:
        return session.create_client(service, region_name="us-west-2", endpoint_url=cloud.endpoint_url)

    return made


@pytest.fixture
def account(cloud: LabCloud, client: Any, monkeypatch: pytest.MonkeyPatch) -> OldAccount:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAACCOUNT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    cloud.reset()
    made = OldAccount(cloud, client)
    made.build()
    made.add_user("user-1", ANTHROPIC_API_KEY=KEY, TELEGRAM_BOT_TOKEN=TOKEN, NOTION_KEY="n")
    made.add_user("user-2", OPENAI_API_KEY="sk-2")
    return made


@pytest.fixture
async def legacy(account: OldAccount) -> AsyncIterator[EcsLegacy]:
    sdk = AwsSdk("us-west-2", HurriedClock(), SystemIds(), account.cloud.endpoint_url)
    yield EcsLegacy(sdk, parse_mapping({"listeners": [account.listener]}))
    await sdk.aclose()


async def test_users_are_found_with_all_that_is_theirs(account: OldAccount, legacy: EcsLegacy) -> None:
    first, second = sorted(await legacy.services(), key=lambda each: each.user)
    assert (first.user, first.email, first.desired, first.path) == ("user-1", "user-1@example.com", 1, "/user-1")
    assert (first.version, first.problems) == ("2026.8.1", ())
    assert first.state == OldState(f"{account.file_system}:/users/user-1")
    assert first.drain_seconds == 300
    found = await legacy.settings(first)
    assert (found.settings.provider, found.settings.channels) == (ModelProvider.ANTHROPIC, frozenset({Channel.TELEGRAM}))
    assert found.credentials == {Credential.MODEL_API_KEY: KEY, Credential.TELEGRAM_BOT_TOKEN: TOKEN}
    assert found.ignored == ("NOTION_KEY",)
    assert KEY not in repr(found)
    assert (await legacy.settings(second)).settings.provider is ModelProvider.OPENAI


async def test_a_service_is_scaled_to_nothing_and_back(legacy: EcsLegacy) -> None:
    (service, *_) = await legacy.services()
    assert (await legacy.status(service)).is_up
    await legacy.scale(service, 0)
    assert (await legacy.status(service)).is_stopped
    await legacy.scale(service, 1)
    assert (await legacy.status(service)).is_up


async def test_the_old_address_holds_leads_on_and_comes_back_as_it_was(account: OldAccount, legacy: EcsLegacy) -> None:
    elbv2 = account.client("elbv2")
    service = next(each for each in await legacy.services() if each.user == "user-1")

    def actions() -> Any:
        return elbv2.describe_rules(RuleArns=[service.route])["Rules"][0]["Actions"]

    before, route = actions(), await legacy.route(service)
    await legacy.hold(route)
    (held,) = actions()
    assert (held["Type"], held["FixedResponseConfig"]["StatusCode"]) == ("fixed-response", "503")
    assert 'http-equiv="refresh"' in held["FixedResponseConfig"]["MessageBody"]
    with pytest.raises(Conflict, match="does not lead to the old service"):
        await legacy.route(service)
    await legacy.lead(route, "https://claw.example.com/oc-7f3k2m9q/")
    (led,) = actions()
    assert led["RedirectConfig"] | {"Host": "claw.example.com", "Path": "/oc-7f3k2m9q/", "Port": "443"} == led["RedirectConfig"]
    await legacy.restore_route(route)
    assert actions() == before
    assert json.loads(route)["rule"] == service.route


async def test_what_is_missing_is_said_with_the_way_out(account: OldAccount, legacy: EcsLegacy) -> None:
    ecs = account.client("ecs")
    arn = next(each.ref for each in await legacy.services() if each.user == "user-2")
    ecs.untag_resource(resourceArn=arn, tagKeys=["UserEmail"])
    second = next(each for each in await legacy.services() if each.user == "user-2")
    assert second.problems == ("No e-mail address is known for user-2: tag the service, or name it under `emails` in the mapping.",)


async def test_after_the_end_nothing_of_the_old_system_is_left_and_the_rest_is_untouched(account: OldAccount, legacy: EcsLegacy) -> None:
    ec2, secrets = account.client("ec2"), account.client("secretsmanager")
    foreign = ec2.allocate_address(Domain="vpc")["AllocationId"]
    secrets.create_secret(Name="openclaw/oc-7f3k2m9q", SecretString="{}")
    account.client("logs").create_log_group(logGroupName="/openclaw/gateways")
    for service in await legacy.services():
        await legacy.lead(await legacy.route(service), "https://claw.example.com/oc-7f3k2m9q/")
        await legacy.scale(service, 0)
    things = removal_order(await legacy.things())
    assert {thing.kind for thing in things} == set(ThingKind)
    assert sum(thing.usd_a_month for thing in things if thing.kind is ThingKind.NAT_GATEWAY) == pytest.approx(32.85)
    for thing in things:
        assert await legacy.remove(thing), thing
    assert await legacy.things() == []
    assert await legacy.services() == []
    for thing in things:
        assert await legacy.remove(thing), "a thing that is gone is removed again without an error"
    assert [each["AllocationId"] for each in ec2.describe_addresses()["Addresses"]] == [foreign]
    assert [each["Name"] for each in secrets.list_secrets()["SecretList"] if not each.get("DeletedDate")] == ["openclaw/oc-7f3k2m9q"]
    assert [each["logGroupName"] for each in account.client("logs").describe_log_groups()["logGroups"]] == ["/openclaw/gateways"]
    assert all(each["State"] == "deleted" for each in ec2.describe_nat_gateways()["NatGateways"])
    rules = account.client("elbv2").describe_rules(ListenerArn=account.listener)["Rules"]
    assert sum(rule["Actions"][0]["Type"] == "redirect" for rule in rules) == 2, "old addresses go on"


async def test_what_lost_its_proof_is_not_removed(account: OldAccount, legacy: EcsLegacy) -> None:
    logs = account.client("logs")
    thing = next(each for each in await legacy.things() if each.kind is ThingKind.LOG_GROUP)
    (group,) = logs.describe_log_groups()["logGroups"]
    logs.untag_resource(resourceArn=group["arn"].removesuffix(":*"), tagKeys=["System"])
    assert await legacy.remove(thing)
    assert len(logs.describe_log_groups()["logGroups"]) == 1


@pytest.mark.parametrize(("body", "said"), [
    ({}, "listeners"),
    ({"listeners": ["x"]}, "listeners.0"),
    ({"listeners": ["arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/app/a/1/2"], "user": {"name": "("}}, "user.name"),
    ({"listeners": ["arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/app/a/1/2"], "clutser": "x"}, "clutser"),
    ("text", "mapping"),
])  # fmt: skip
def test_a_mapping_that_is_wrong_is_refused_by_the_field(body: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_mapping(body)
    assert refused.value.problems[0].field == said
