"""The database is dropped under running instances, and rebuilt from tags, secrets and rules; none of them notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from openclaw_hosted.bootstrap.adopting import adoption_service
from openclaw_hosted.bootstrap.claiming import claim
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.controllers.orphans import OrphansController
from openclaw_hosted.domain.adoption import AdoptionPlan
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.settings import load_settings
from tests.integration.aws.world import CLOCK, NEVER, OWNER, WITH_KEY, AwsWorld, ControlPlane
from tests.support.aws import aws_environment, provided_on
from tests.support.store import new_store
from tests.support.waiting import PATIENCE_SECONDS, until

READ_ONLY = ("Describe", "Get", "List")
ASKED_EVERY_SECONDS = 0.2


@asynccontextmanager
async def visitors(addresses: list[str]) -> AsyncIterator[list[str]]:
    """Ask at each address all the time, for the length of the block; what was answered in place of OpenClaw's page."""
    refused: list[str] = []
    answered = dict.fromkeys(addresses, 0)

    async def visit(client: httpx.AsyncClient, url: str) -> None:
        while True:
            answer = await client.get(url)
            if answer.status_code != 200 or "<openclaw-app" not in answer.text:
                refused.append(f"{url}: {answer.status_code}")
            answered[url] += 1
            await asyncio.sleep(ASKED_EVERY_SECONDS)

    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as client:
        tasks = [asyncio.create_task(visit(client, url)) for url in addresses]
        try:
            await until(lambda: all(answered.values()))
            yield refused
        finally:
            seen = dict(answered)
            await until(lambda: all(answered[url] > seen[url] for url in addresses))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def with_instances(world: AwsWorld, plane: ControlPlane, count: int) -> list[Instance]:
    """So many instances, all of them filed, the last with a key of its user's, and the pool full again."""
    made = [await plane.create(*(WITH_KEY if number == count - 1 else ())) for number in range(count)]
    filed = [await plane.until_filed(instance.id, 240) for instance in made]
    await plane.until_full(240)
    await asyncio.to_thread(world.lab.cloud.settle)
    return filed


async def gateways(plane: ControlPlane) -> dict[str, object]:
    """Of each machine what it serves, and what tells its gateway apart from one that was started anew."""
    live = await plane.store.machines.list_live()
    said = [await plane.provided.gateways.status(seat_of(machine)) for machine in live]
    assert all(status.ready for status in said)
    return {machine.id: (machine.provider_ref, status.instance_id, status.started_at) for machine, status in zip(live, said, strict=True)}


async def adopt(world: AwsWorld, *, dry_run: bool = False) -> AdoptionPlan:
    """As the command does it."""
    with aws_environment(world.lab.site):
        settings = load_settings()
    async with provided_on(world.lab.site, **world.changes) as provided:
        service = adoption_service(settings, provided, world.store, CLOCK)
        mark, plan = await service.look()
        if not dry_run:
            await service.carry_out(mark, plan)
        return plan


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.long)], ids=str)
async def test_none_of_the_running_instances_notices_that_the_database_was_lost_and_rebuilt(
    world: AwsWorld, tmp_path: Path, count: int
) -> None:
    """Twenty take long, and show at scale what three show in `make test`."""
    world.options = {"liveness_seconds": 0.3, "orphans_seconds": NEVER}
    world.fleet_cap = count + 5
    async with world.control_plane() as plane:
        await claim(plane.provided.ownership, await world.store.mark(), None)
        before = await with_instances(world, plane, count)
        mark = await world.store.mark()
        ran, routes = await gateways(plane), list(await plane.provided.router.list())
        document = dict(await plane.provided.vault.get(before[-1].id))
        addresses = [plane.provided.router.public_url(instance.id) for instance in before]
    await world.store.aclose()
    world.store = await new_store(tmp_path / "another.sqlite")

    async with visitors(addresses) as refused:
        world.lab.cloud.calls.clear()
        planned = await adopt(world, dry_run=True)
        assert not await world.store.instances.list_all()
        assert await adopt(world) == planned
        changing = {call.action for call in world.lab.cloud.calls if call.caller == "account"}
        assert {action for action in changing if not action.split(":")[1].startswith(READ_ONLY)} == set()
        assert (await world.store.mark(), len(planned.instances), len(planned.spares), planned.held_back) == (mark, count, 1, {})

        world.options["orphans_seconds"] = 0.3
        async with world.control_plane() as plane:
            await claim(plane.provided.ownership, await world.store.mark(), None)
            await plane.until_full()
            orphans = OrphansController(plane.ports, replace(plane.options, orphan_grace_seconds=0.0, quarantine_seconds=0.0))
            for _ in range(2):
                await orphans.tick()
            await plane.until_clean()
            assert await gateways(plane) == ran
            assert set(await plane.provided.router.list()) == set(routes)
            assert not await world.store.platform.orphans()
            for instance in before:
                assert _lasting(await world.store.instances.get(instance.id)) == _lasting(instance)
            assert (await world.store.accounts.user(OWNER)).email == "owner@example.com"
            assert dict(await plane.provided.vault.get(before[-1].id)) == document
            assert Credential.MODEL_API_KEY in document
        with pytest.raises(StateConflict, match=f"instances: {count}"):
            await adopt(world)
    assert refused == []
    await world.store.aclose()


def _lasting(instance: Instance) -> Instance:
    """What no loss of the database may change."""
    return replace(instance, phase_changed_at=0.0, created_at=round(instance.created_at, 3), next_attempt_at=0.0, applied_revision=None)


async def test_a_machine_whose_user_came_seconds_before_is_no_spare_and_a_deleted_instance_can_be_brought_back(
    world: AwsWorld, tmp_path: Path
) -> None:
    world.options = {"liveness_seconds": NEVER, "orphans_seconds": NEVER}
    async with world.control_plane() as plane:
        await claim(plane.provided.ownership, await world.store.mark(), None)
        await plane.until_full()
        deleted = await plane.until_filed((await plane.create()).id)
        await plane.until_full()
        await plane.delete(deleted.id)
        await plane.until_phase(deleted.id, Phase.DELETED)
        await plane.until_full()
        await plane.store.platform.set_pool(paused=True)
        for action in ("ec2:CreateTags", "elasticloadbalancing:ModifyRule", "secretsmanager:PutSecretValue"):
            world.lab.cloud.faults.throttle(action, calls=1000)
        newest = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
    world.lab.cloud.faults.calm()
    await world.store.aclose()
    world.store = await new_store(tmp_path / "another.sqlite")
    plan = await adopt(world)
    found = {each.id: each for each in plan.instances}
    assert set(found) == {deleted.id, newest.id}
    assert (found[newest.id].owner_is_known, found[newest.id].machine is not None, plan.spares) == (False, True, ())
    assert (found[deleted.id].is_deleted, found[deleted.id].owner_id) == (True, OWNER)
    async with world.control_plane() as plane:
        await plane.until_filed(InstanceId(newest.id))
        assert (await plane.store.instances.get(deleted.id)).phase is Phase.DELETED
    await world.store.aclose()
