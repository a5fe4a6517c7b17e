"""What is wrong, by the API: every step of a real look at a fake cloud, for admins."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.causes import LikelyCause
from openclaw_hosted.domain.diagnosis import Outcome, Step
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.pool import PoolStatus
from openclaw_hosted.services import diagnosis
from tests.integration.web.conftest import World


async def test_an_instance_whose_machine_is_gone_is_told_so_with_the_fix(world: World, admin: User, ada: User) -> None:
    world.clock.at = time.time()
    async with world.api(ada) as api:
        instance_id = (await api.post("/instances", json={"name": "Mine"})).json()["id"]
        assert (await api.get(f"/instances/{instance_id}/diagnosis")).status_code == 403
    await world.run(instance_id)
    async with world.api(admin) as api:
        found = (await api.get(f"/instances/{instance_id}/diagnosis")).json()
        machine_id = (await api.get("/machines")).json()["items"][0]["id"]
        same = (await api.get(f"/machines/{machine_id}/diagnosis")).json()
    assert [each["step"] for each in found["findings"]] == list(Step)
    assert (found["cause"], found["state"], same["cause"]) == ("machine_gone", "running", "machine_gone")
    assert "pool show" in found["fix"]


async def test_an_instance_that_waits_says_what_the_pool_says(world: World, admin: User, ada: User) -> None:
    async with world.api(ada) as api:
        instance_id = (await api.post("/instances", json={"name": "Mine"})).json()["id"]
    await world.store.platform.set_pool(paused=True, status=PoolStatus.PAUSED)
    async with world.api(admin) as api:
        found = (await api.get(f"/instances/{instance_id}/diagnosis")).json()
    assert (found["cause"], found["runbook"]) == ("pool_paused", "pool-depleted")


@pytest.mark.parametrize("subject", ["instances/oc-22222222", "instances/x", "machines/mc-22222222"])
async def test_what_there_is_not_is_not_found(world: World, admin: User, subject: str) -> None:
    async with world.api(admin) as api:
        assert (await api.get(f"/{subject}/diagnosis")).status_code == 404


async def test_a_provider_that_does_not_answer_is_no_fault_of_the_instance(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "LOOK_SECONDS", 0.01)
    world.clock.at = time.time()
    spare = await world.add_machine(MachineState.AVAILABLE)

    async def hang(call: str, _: str) -> None:
        if call == "machines.observe":
            raise Unavailable("The provider does not answer.")
        await asyncio.Event().wait()

    world.cloud.hook = hang
    found = await world.diagnosis().machine(SETUP, spare)
    outcomes: dict[Any, Any] = {each.step: (each.outcome, each.reason) for each in found.findings}
    assert found.cause is None
    assert outcomes[Step.MACHINE] == (Outcome.SKIPPED, "The provider does not answer.")
    assert outcomes[Step.GATEWAY] == (Outcome.SKIPPED, "no answer within 0 s")


async def test_clocks_that_disagree_are_told(world: World) -> None:
    spare = await world.add_machine(MachineState.AVAILABLE)
    assert (await world.diagnosis().machine(SETUP, spare)).cause is LikelyCause.CLOCK_WRONG
