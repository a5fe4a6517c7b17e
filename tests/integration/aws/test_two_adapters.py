"""Two control planes on one account, each with adapters of its own, never disagree about what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from lab.cloud.calls import Call
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import GatewayStatus, Seat
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth
from openclaw_hosted.ports.router import Target
from tests.integration.aws.world import WITH_KEY, AwsWorld
from tests.support.aws import provided_on
from tests.support.waiting import until

IDS = SystemIds()
Look = Callable[[Seat], Awaitable[GatewayStatus]]
LOOKS = 8
"""How often liveness looks at an instance before it is taken to be well: more than a bad look needs to be acted on."""


@dataclass
class Pair:
    """The adapters of two control planes."""

    one: Provided
    other: Provided


@pytest.fixture
async def pair(world: AwsWorld) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(provided_on(world.lab.site)) for _ in range(2)]
        yield Pair(one, other)


async def machine(provided: Provided) -> tuple[Seat, LaunchSpec]:
    """A machine that is up, and the seat of the instance that it was launched for."""
    spec = LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(0), "lab")
    ref = await provided.machines.launch(spec)

    async def is_up() -> bool:
        return any(m.provider_ref == ref and m.health is MachineHealth.UP for m in await provided.machines.observe())

    await until(is_up)
    address = next(m.address for m in await provided.machines.observe() if m.provider_ref == ref)
    return Seat(ref, spec.reserved_instance_id, 0, address), spec


async def started(provided: Provided, seat: Seat, spec: GatewaySpec) -> None:
    """Its gateway proves whom it serves."""
    await provided.vault.put(spec.instance_id, {Credential.GATEWAY_TOKEN: IDS.token()}, 0)
    await provided.vault.grant(spec.instance_id, seat.provider_ref)
    await provided.volumes.create(spec.volume_id, seat.provider_ref)
    await provided.gateways.start(seat, spec)
    await until(lambda: serves(provided, seat))


async def serves(provided: Provided, seat: Seat) -> bool:
    status = await provided.gateways.status(seat)
    return status.ready and status.instance_id == seat.instance_id


async def test_a_volume_tells_whose_it_is_from_before_its_gateway_starts(pair: Pair, world: AwsWorld) -> None:
    """One that was killed in between writes nothing more, and who finds the gateway well does not start it again."""
    (seat, launch), token = await machine(pair.one), {Credential.GATEWAY_TOKEN: IDS.token()}
    spec = GatewaySpec(launch.reserved_instance_id, 0, launch.volume_id, "lab")
    await pair.one.vault.put(spec.instance_id, token, 0)
    await pair.one.vault.grant(spec.instance_id, seat.provider_ref)
    await pair.one.volumes.create(spec.volume_id, seat.provider_ref)
    faults, marks = world.lab.cloud.faults, []

    def note(call: Call, moment: str) -> None:
        if moment == "before" and call.action == "ssm:SendCommand":
            marks.extend(whose(world, seat))

    faults.hook = note
    await pair.one.gateways.start(seat, spec)
    faults.hook = None
    assert marks
    assert set(marks) == {spec.instance_id}


def whose(world: AwsWorld, seat: Seat) -> list[str | None]:
    """The marks of a machine's volumes other than its root disk, as the account has them."""
    volumes = world.lab.cloud.ec2.volumes.values()
    held = [each for each in volumes if each.attachment and each.attachment.instance.id == seat.provider_ref]
    tags = [{tag["key"]: tag["value"] for tag in each.get_tags()} for each in held]
    return [each.get("InstanceId") for each in tags if "VolumeId" in each]


async def test_a_machine_that_one_warmed_up_and_the_other_gave_to_somebody_serves_that_one_for_both(pair: Pair) -> None:
    spare, launch = await machine(pair.one)
    await started(pair.one, spare, GatewaySpec(spare.instance_id, 0, launch.volume_id, "lab"))
    assert await serves(pair.other, spare)
    claimed = replace(spare, instance_id=IDS.instance_id(0), generation=1)
    spec = GatewaySpec(claimed.instance_id, 1, IDS.volume_id(), "lab")
    await started(pair.other, claimed, spec)
    assert await serves(pair.one, claimed)
    assert not (await pair.one.gateways.status(spare)).ready
    tickets = [(await provided.gateways.mint_bootstrap(claimed)).token for provided in (pair.one, pair.other)]
    assert tickets[0] != tickets[1]


async def test_what_one_brought_into_force_is_in_force_for_the_other(pair: Pair) -> None:
    seat, launch = await machine(pair.one)
    spec = GatewaySpec(seat.instance_id, 0, launch.volume_id, "lab")
    await started(pair.one, seat, spec)
    for revision, provided in enumerate((pair.one, pair.other, pair.one), start=1):
        document = {**await provided.vault.get(seat.instance_id), Credential.MODEL_API_KEY: f"key-{revision}"}
        await provided.vault.put(seat.instance_id, document, revision)
        await provided.gateways.apply(seat, replace(spec, revision=revision))
        for each in (pair.one, pair.other):
            status = await each.gateways.status(seat)
            assert (status.ready, status.outdated) == (True, False)


async def test_the_vault_of_one_keeps_what_the_other_put_there(pair: Pair) -> None:
    instance_id = IDS.instance_id(0)
    await pair.one.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "token"}, 0)
    assert await pair.other.vault.get(instance_id) == {Credential.GATEWAY_TOKEN: "token"}
    await pair.one.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "token", Credential.MODEL_API_KEY: "newer"}, 1)
    stored = await pair.other.vault.get(instance_id, fresh=True)
    assert stored == {Credential.GATEWAY_TOKEN: "token", Credential.MODEL_API_KEY: "newer"}
    await pair.one.vault.put(instance_id, stored, 2)
    with pytest.raises(Conflict):
        await pair.other.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "token"}, 1)
    await pair.one.vault.purge(instance_id)


async def test_a_route_that_one_moved_is_not_moved_back_by_the_other(pair: Pair) -> None:
    (first, launch), (second, another) = await machine(pair.one), await machine(pair.one)
    instance_id, owner = IDS.instance_id(0), IDS.user_id()
    old = Target(launch.machine_id, first.provider_ref, str(first.address))
    new = Target(another.machine_id, second.provider_ref, str(second.address))
    await pair.one.router.bind(instance_id, old, owner, 1)
    await pair.other.router.bind(instance_id, new, owner, 2)
    with pytest.raises(Conflict):
        await pair.one.router.bind(instance_id, old, owner, 1)
    for provided in (pair.one, pair.other):
        (route,) = await provided.router.list()
        assert (route.machine_id, route.owner_id, route.generation) == (another.machine_id, owner, 2)
    await pair.one.router.release(instance_id)


async def test_an_instance_that_runs_goes_on_running_beside_two_control_planes(world: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.control_plane() as one, world.control_plane() as other:
        looks = Counter[InstanceId]()
        for plane in (one, other):
            monkeypatch.setattr(plane.provided.gateways, "status", counted(plane.provided.gateways.status, looks))
        await one.until_full()
        made = [await one.create(*WITH_KEY), await other.create()]
        running = [await one.until_phase(each.id, Phase.RUNNING) for each in made]
        await one.until_full()
        looks.clear()
        await until(lambda: all(looks[each.id] > LOOKS for each in running), 60)
        assert [await history(world, each) for each in running] == [[EventName.INSTANCE_RUNNING]] * 2
        for each in made:
            await one.delete(each.id)
            await one.until_phase(each.id, Phase.DELETED)


def counted(look: Look, looks: Counter[InstanceId]) -> Look:
    async def status(seat: Seat) -> GatewayStatus:
        looks[seat.instance_id] += 1
        return await look(seat)

    return status


async def history(world: AwsWorld, instance: Instance) -> list[EventName]:
    """What became of it since it was asked for."""
    happened = [event.name for event in reversed(await world.store.platform.events(instance_id=instance.id))]
    return [name for name in happened if name not in (EventName.INSTANCE_CREATED, EventName.MACHINE_CLAIMED)]
