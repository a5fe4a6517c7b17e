"""What users do while something is left to be written about their instance."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_hosted.domain.gateway import Credential, CredentialsChange, GatewaySettings, ModelProvider, encode_change
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import InstanceId
from tests.integration.convergence.test_every_step import placement_with_a_key
from tests.integration.convergence.world import World, eventually
from tests.support.life import change
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.looptime
LATER_KEY = "sk-a-later-key-0002"


class Held:
    """Lets no call of one name through until it is let go."""

    def __init__(self, world: World, call: str) -> None:
        self._call = call
        self.reached, self._released = asyncio.Event(), asyncio.Event()
        world.cloud.hook = self._hang

    def let_go(self) -> None:
        self._released.set()

    async def _hang(self, name: str, moment: str) -> None:
        if (name, moment) == (self._call, "before"):
            self.reached.set()
            await self._released.wait()


async def runs_unfiled(world: World, held: Held) -> InstanceId:
    """An instance that its user reaches, while the call is held up."""
    instance_id = await placement_with_a_key(world)
    assert instance_id is not None
    await asyncio.wait_for(held.reached.wait(), PATIENCE_SECONDS)

    async def runs() -> bool:
        return (await world.store.instances.get(instance_id)).phase is Phase.RUNNING

    await eventually(runs, lambda: "it never ran")
    assert not (await world.store.instances.get(instance_id)).is_filed
    return instance_id


@pytest.mark.parametrize("call", ["machines.label", "vault.put", "router.mark"])
async def test_deletion_wins_over_what_is_left_to_be_written(world: World, call: str) -> None:
    async with world.running():
        await world.until_full()
        held = Held(world, call)
        instance_id = await runs_unfiled(world, held)
        await world.delete(instance_id)
        held.let_go()
        await world.until_phase(instance_id, Phase.DELETED)
        await world.until_full()
        await eventually(world.is_clean, lambda: "something was left over")


@pytest.mark.parametrize("call", ["machines.label", "vault.put", "router.mark"])
async def test_a_key_that_is_given_meanwhile_comes_into_force_and_is_the_one_in_the_vault(world: World, call: str) -> None:
    async with world.running():
        await world.until_full()
        held = Held(world, call)
        instance_id = await runs_unfiled(world, held)
        key = encode_change(CredentialsChange({Credential.MODEL_API_KEY: LATER_KEY}))
        await change(
            world.store, await world.store.instances.get(instance_id), world.clock.now(), settings=GatewaySettings(ModelProvider.OPENAI),
            credential_names=frozenset({Credential.MODEL_API_KEY}), sealed=world.sealer.seal(key, instance_id),
        )  # fmt: skip
        held.let_go()
        await world.until_phase(instance_id, Phase.RUNNING)

        async def is_settled() -> bool:
            instance = await world.store.instances.get(instance_id)
            return (instance.phase, instance.applied_revision, instance.sealed_revision) == (Phase.RUNNING, 2, None)

        await eventually(is_settled, lambda: "the later key never came into force")
        assert world.cloud.secrets[instance_id].document[Credential.MODEL_API_KEY] == LATER_KEY
