"""The platform on AWS without a load balancer: this computer's edge leads to the machines of the fast lab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from lab.plain import PlainLab
from openclaw_hosted import datadir
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap import examine
from openclaw_hosted.bootstrap.adopting import adoption_service
from openclaw_hosted.bootstrap.claiming import claim
from openclaw_hosted.bootstrap.doctor.computer import Finding, Verdict
from openclaw_hosted.bootstrap.edge import local_edge
from openclaw_hosted.domain.account import Role, Session, User
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.shards import shard_of
from openclaw_hosted.server import WebPlace, serving
from openclaw_hosted.settings import SettingsError, load_settings
from openclaw_hosted.settings_aws import load_aws_settings
from tests.integration.aws.world import CLOCK, OWNER, AwsWorld, ControlPlane
from tests.support.aws import MARK, aws_environment, provided_on, without_balancer
from tests.support.edge import Edge, platform_app
from tests.support.ports import free_port
from tests.support.store import new_store
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("aws-edge")
STRANGER = UserId("u-stranger")
DAY_SECONDS = 86_400.0
LISTENER = "arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/app/a/1/2"


@dataclass
class EdgeWorld(AwsWorld):
    """A world whose way in is an edge, which outlives control planes as they come and go."""

    edge: Edge = field(kw_only=True)

    async def forget_routes(self) -> None:
        """The edge starts anew, on a disk without its database."""
        await self.edge.local.stop()
        for path in (self.edge.data_dir / "edge").glob("routes.sqlite*"):
            path.unlink()
        with aws_environment(self.lab.site, **self.changes):
            await local_edge(load_settings(), MARK).ensure()

    async def signed_in(self, user: UserId) -> str:
        """The cookie of a new session. The control loops tell the edge of it."""
        cookie = SystemIds().token()
        session = Session(sha256(cookie.encode()).hexdigest(), user, CLOCK.now(), CLOCK.now() + DAY_SECONDS)
        await self.store.accounts.add_session(session, None)
        return cookie

    async def sees_openclaw(self, instance_id: InstanceId, cookie: str = "") -> bool:
        """Whether a browser with this cookie gets to the instance's gateway; else the platform answers."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.edge.url}/{instance_id}/", headers={"Cookie": f"ochs={cookie}"} if cookie else {})
        return "<openclaw-app" in answer.text


@pytest.fixture
async def world(lab: PlainLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EdgeWorld]:
    data_dir = tmp_path_factory.mktemp("edge")
    edge, store = Edge(data_dir, free_port()), await new_store(data_dir / "platform.sqlite")
    for user in (OWNER, STRANGER):
        await store.accounts.add_user(User(user, f"{user}@example.com", Role.USER, 1.0), None, None)
    made = EdgeWorld(lab, store, without_balancer(data_dir, edge.port), edge=edge)
    try:
        with aws_environment(lab.site, **made.changes):
            await local_edge(load_settings(), MARK).ensure()
            datadir.remember(load_settings())
        async with serving(platform_app, WebPlace(edge.web_socket)):
            yield made
            lab.cloud.faults.calm()
            await made.clear()
    finally:
        await edge.local.stop()
        await made.store.aclose()


async def a_running_instance(plane: ControlPlane) -> Instance:
    await plane.until_full()
    return await plane.until_phase((await plane.create()).id, Phase.RUNNING)


async def test_an_instance_is_its_owners_from_a_hot_spare_through_restarts_and_a_move_until_it_is_deleted(world: EdgeWorld) -> None:
    owner, stranger = await world.signed_in(OWNER), await world.signed_in(STRANGER)
    world.lab.cloud.calls.clear()
    async with world.control_plane() as plane:
        instance = await a_running_instance(plane)
        assert shard_of(instance.id) == 0, "a load balancer can be added later"
        await until(lambda: world.sees_openclaw(instance.id, owner))
        assert not await world.sees_openclaw(instance.id, stranger)
        assert not await world.sees_openclaw(instance.id)
    assert await world.sees_openclaw(instance.id, owner), "the edge needs no control plane"
    async with world.control_plane() as plane:
        await plane.until_full()
        assert await world.sees_openclaw(instance.id, owner)
        before = await machine_of(plane, instance.id)
        await asyncio.to_thread(world.lab.site.client("ec2").terminate_instances, InstanceIds=[before])
        await until(lambda: has_moved(plane, instance.id, before))
        await until(lambda: world.sees_openclaw(instance.id, owner))
        await plane.delete(instance.id)
        await plane.until_phase(instance.id, Phase.DELETED)
        assert not await world.sees_openclaw(instance.id, owner)
        await plane.until_full()
        await plane.until_clean()
    assert [call.action for call in world.lab.cloud.calls if call.action.startswith("elasticloadbalancing:")] == []


async def machine_of(plane: ControlPlane, instance_id: InstanceId) -> str:
    """EC2's id of the machine that the instance has."""
    return await ref_of(plane, await plane.store.instances.get(instance_id))


async def ref_of(plane: ControlPlane, instance: Instance) -> str:
    assert instance.machine_id is not None
    return str((await plane.store.machines.get(instance.machine_id)).provider_ref)


async def has_moved(plane: ControlPlane, instance_id: InstanceId, before: str) -> bool:
    instance = await plane.store.instances.get(instance_id)
    return instance.phase is Phase.RUNNING and await ref_of(plane, instance) != before


async def test_an_interrupted_machine_hands_its_instance_on_and_the_route_follows(world: EdgeWorld) -> None:
    owner = await world.signed_in(OWNER)
    world.hears = True
    async with world.control_plane() as plane:
        instance = await a_running_instance(plane)
        await plane.until_filed(instance.id)
        await plane.until_full()
        before = await machine_of(plane, instance.id)
        await asyncio.to_thread(world.lab.cloud.interrupt, before)
        await until(lambda: has_moved(plane, instance.id, before))
        await until(lambda: world.sees_openclaw(instance.id, owner))
        await plane.until_full()
        await plane.until_clean()


async def test_what_a_killed_control_plane_and_a_lost_edge_knew_is_made_anew_from_rows(world: EdgeWorld) -> None:
    owner = await world.signed_in(OWNER)
    async with world.control_plane() as plane:
        instance = await a_running_instance(plane)
        unfinished = await plane.create()
    await world.forget_routes()
    assert not await world.sees_openclaw(instance.id, owner)
    async with world.control_plane() as plane:
        for each in (instance, unfinished):
            await plane.until_phase(each.id, Phase.RUNNING)
            await until(partial(world.sees_openclaw, each.id, owner))
        await plane.until_full()
        await plane.until_clean()


async def test_what_a_lost_volume_held_is_rebuilt_from_what_exists(world: EdgeWorld) -> None:
    async with world.control_plane() as plane:
        await claim(plane.provided.ownership, await world.store.mark(), None)
        instance = await a_running_instance(plane)
        await plane.until_filed(instance.id)
    await world.store.aclose()
    await world.forget_routes()
    world.store = await new_store(world.edge.data_dir / "another.sqlite")
    with aws_environment(world.lab.site, **world.changes):
        settings = load_settings()
    async with provided_on(world.lab.site, **world.changes) as provided:
        service = adoption_service(settings, provided, world.store, CLOCK)
        await service.carry_out(*await service.look())
    owner = await world.signed_in((await world.store.instances.get(instance.id)).owner_id)
    async with world.control_plane() as plane:
        await plane.until_phase(instance.id, Phase.RUNNING)
        await until(lambda: world.sees_openclaw(instance.id, owner))
        assert (await plane.store.instances.get(instance.id)).owner_id == OWNER


async def test_an_instance_changes_over_to_a_load_balancer_and_back(world: EdgeWorld) -> None:
    owner, alone = await world.signed_in(OWNER), world.changes
    async with world.control_plane() as plane:
        instance = await a_running_instance(plane)
    world.changes = {}
    async with world.control_plane() as plane, httpx.AsyncClient() as client:
        url = plane.provided.router.public_url(instance.id)

        async def answers() -> bool:
            await asyncio.to_thread(world.lab.site.addresses)  # the load balancers read their rules anew
            return "<openclaw-app" in (await client.get(url)).text

        await until(answers)
        await plane.until_full()
        await plane.until_clean()
    world.changes = alone
    async with world.control_plane() as plane:
        await plane.until_full()
        assert await world.sees_openclaw(instance.id, owner)
    world.changes = {}
    await world.clear()
    world.changes = alone


async def findings(world: EdgeWorld, **changes: str) -> dict[str, Finding]:
    with aws_environment(world.lab.site, **{**world.changes, **changes}):
        return {finding.check: finding for finding in await examine(load_settings())}


async def test_a_doctor_looks_at_the_edge_in_place_of_load_balancers(world: EdgeWorld) -> None:
    found = await findings(world)
    assert found["aws load balancers"].message == "none: users reach the edge of this machine"
    assert {name for name, finding in found.items() if finding.verdict is Verdict.PROBLEM} == set(), found
    assert "does not run" in found["address"].message
    with datadir.held(world.edge.data_dir, (datadir.Role.WEB,)):
        assert "the platform answers at" in (await findings(world))["address"].message
        nowhere = (await findings(world, PUBLIC_URL="http://claw.invalid"))["address"]
        assert (nowhere.verdict, nowhere.message) == (Verdict.PROBLEM, "claw.invalid can't be resolved")
        closed = (await findings(world, PUBLIC_URL=f"http://localhost:{free_port()}"))["address"]
        assert (closed.verdict, "does not answer (ConnectError)" in closed.message) == (Verdict.PROBLEM, True)
        assert closed.fix is not None
        assert "security group" in closed.fix


@pytest.mark.parametrize(
    ("changes", "way_out"),
    [
        ({"LOAD_BALANCER": "nlb"}, "LOAD_BALANCER: "),
        ({"LOAD_BALANCER": ""}, "ALB_LISTENER_ARN is not set; LOAD_BALANCER=none does without"),
        ({"SHARD_URLS": "https://claw.example.com"}, "SHARD_URLS is of load balancers"),
        ({"ALB_LISTENER_ARN": LISTENER}, "ALB_LISTENER_ARN is of load balancers"),
        ({"ROUTING": "host", "INSTANCE_DOMAIN": "claw.example.com"}, "ROUTING=host needs a load balancer"),
        ({"PUBLIC_URL": ""}, "LOAD_BALANCER=none needs PUBLIC_URL"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_are_told_with_the_way_out(
    lab: PlainLab, tmp_path: Path, changes: dict[str, str], way_out: str
) -> None:
    with aws_environment(lab.site, **{**without_balancer(tmp_path, 8080), **changes}), pytest.raises(SettingsError) as raised:
        load_aws_settings()
    assert way_out in str(raised.value)
