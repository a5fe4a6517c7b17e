"""Two control planes on AWS's emulation and one Postgres, while everything happens to them; then calm, and nothing lost or left over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest

from lab.plain import PlainLab
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.store import open_store
from tests.integration.aws.world import CLOCK, OWNER, WITH_KEY, AwsWorld, ControlPlane
from tests.support.life import ask_delete, ask_restart, change
from tests.support.postgres import postgres_server, postgres_url
from tests.support.waiting import until

__all__ = ["postgres_server", "postgres_url"]
SEED = 11
ACTS = 60
CALLS = ("ec2:CreateFleet", "ec2:DescribeInstances", "ec2:AttachVolume", "ssm:SendCommand", "secretsmanager:GetSecretValue",
         "secretsmanager:PutSecretValue", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:CreateRule")  # fmt: skip
MOST_INSTANCES = 6
PAUSE_SECONDS = 0.5
CONVERGED_SECONDS = 240


@pytest.fixture
async def world(lab: PlainLab, postgres_url: str) -> AsyncIterator[AwsWorld]:
    store = await open_store(postgres_url, upgrade=False)
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    made = AwsWorld(lab, store, spares=2)
    try:
        yield made
        lab.cloud.faults.calm()
        await made.clear()
    finally:
        await store.aclose()


class Chaos:
    """Two control planes, their users, and what befalls them."""

    def __init__(self, world: AwsWorld) -> None:
        self._world = world
        self._random = random.Random(SEED)  # noqa: S311 - it is to be repeated
        self._stacks: dict[int, AsyncExitStack] = {}
        self.planes: dict[int, ControlPlane] = {}
        self.done: Counter[str] = Counter()
        self.asked: dict[InstanceId, DesiredState] = {}
        self._acts: dict[str, tuple[int, Callable[[], Awaitable[bool]]]] = {
            "create": (6, self._create),
            "change": (4, self._change),
            "restart": (3, self._restart),
            "delete": (3, self._delete),
            "kill a control plane": (5, self._kill),
            "crash a gateway": (4, self._crash),
            "cut a machine's power": (3, self._cut),
            "throttle, or lose an answer": (4, self._trouble),
        }

    async def start(self, number: int) -> None:
        """Another process takes this number. One that AWS does not answer at its start ends, and is started again, as systemd does it."""
        while number not in self.planes:
            stack = AsyncExitStack()
            with suppress(OpenClawHostedError):
                self.planes[number] = await stack.enter_async_context(self._world.control_plane())
                self._stacks[number] = stack

    async def stop(self, number: int) -> None:
        """It is killed: what it held is free once its leases have ended."""
        del self.planes[number]
        await self._stacks.pop(number).aclose()

    async def act(self) -> None:
        """One thing happens, as far as it can."""
        names = list(self._acts)
        (name,) = self._random.choices(names, [self._acts[each][0] for each in names])
        with suppress(OpenClawHostedError):
            self.done[name] += await self._acts[name][1]()

    async def all_happened(self) -> bool:
        """Whether each kind of act was done; if not, one more act."""
        if self._acts.keys() <= (+self.done).keys():
            return True
        await self.act()
        return False

    async def _create(self) -> bool:
        if sum(desired is DesiredState.RUNNING for desired in self.asked.values()) >= MOST_INSTANCES:
            return False
        plane = self._random.choice(list(self.planes.values()))
        made = await plane.create(*(WITH_KEY if self._random.random() < 0.5 else ()))
        self.asked[made.id] = DesiredState.RUNNING
        return True

    async def _change(self) -> bool:
        return await self._to_one(lambda instance: change(self._world.store, instance, CLOCK.now(), settings=WITH_KEY[0]))

    async def _restart(self) -> bool:
        return await self._to_one(lambda instance: ask_restart(self._world.store, instance, CLOCK.now()))

    async def _delete(self) -> bool:
        async def delete(instance: Instance) -> None:
            self.asked[instance.id] = DesiredState.DELETED
            await ask_delete(self._world.store, instance.id, CLOCK.now())

        return await self._to_one(delete)

    async def _to_one(self, do: Callable[[Instance], Awaitable[object]]) -> bool:
        running = [each for each in await self._world.store.instances.list_all() if each.phase is Phase.RUNNING]
        if running:
            await do(self._random.choice(running))
        return bool(running)

    async def _kill(self) -> bool:
        number = self._random.choice(list(self.planes))
        await self.stop(number)
        await self.start(number)
        return True

    async def _crash(self) -> bool:
        return await self._to_a_machine(self._world.lab.machines.crash_gateway)

    async def _cut(self) -> bool:
        return await self._to_a_machine(self._world.lab.machines.cut_power)

    async def _to_a_machine(self, do: Callable[[str], None]) -> bool:
        live = [each for each in await self._world.store.machines.list_live() if each.state is MachineState.ASSIGNED and each.provider_ref]
        if live:
            with suppress(KeyError):
                do(str(self._random.choice(live).provider_ref))
        return bool(live)

    async def _trouble(self) -> bool:
        faults, call = self._world.lab.cloud.faults, self._random.choice(CALLS)
        if self._random.random() < 0.5:
            faults.throttle(call, 3)
        else:
            faults.lose(call)
        return True


@pytest.mark.long
@pytest.mark.postgres
async def test_two_control_planes_lose_nothing_and_leave_nothing_on_aws(world: AwsWorld) -> None:
    """Long: the local provider's chaos and the simulation show the same of the loops; here the AWS adapters of two processes meet."""
    chaos = Chaos(world)
    for number in (1, 2):
        await chaos.start(number)
    await chaos.planes[1].until_full()
    for _ in range(ACTS):
        await chaos.act()
        await CLOCK.sleep(PAUSE_SECONDS)
    await until(chaos.all_happened, CONVERGED_SECONDS, every=PAUSE_SECONDS)
    world.lab.cloud.faults.calm()
    await until(lambda: settled(world, chaos), CONVERGED_SECONDS)
    await chaos.planes[2].until_clean(CONVERGED_SECONDS)
    for instance_id in chaos.asked:
        await ask_delete(world.store, instance_id, CLOCK.now())
    await until(lambda: all_deleted(world), CONVERGED_SECONDS)
    await chaos.planes[1].until_clean(CONVERGED_SECONDS)
    for number in (1, 2):
        await chaos.stop(number)


async def settled(world: AwsWorld, chaos: Chaos) -> bool:
    """Whether each instance is as its user asked; one that was given up is tried again."""
    well = True
    for instance in await world.store.instances.list_all():
        if instance.phase is Phase.FAILED:
            await ask_restart(world.store, instance, CLOCK.now())
        wanted = Phase.RUNNING if chaos.asked[instance.id] is DesiredState.RUNNING else Phase.DELETED
        well = well and instance.phase is wanted
    return well


async def all_deleted(world: AwsWorld) -> bool:
    return all(each.phase in (Phase.DELETED, Phase.PURGED) for each in await world.store.instances.list_all())
