"""Each invariant is broken on purpose, and the checker objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeMachine, FakeRoute, FakeSecret, FakeVolume
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId, volume_of
from openclaw_hosted.ports.machines import MachineHealth
from openclaw_hosted.ports.router import Route
from openclaw_hosted.ports.stores import PoolMemory
from simulation import rest
from simulation.ids import CLEAR, EPOCH, SkewedClock
from simulation.invariants import Invariants, Violation
from simulation.loop import VirtualLoop
from simulation.rows import Rows

ADA, EVE = UserId("us-ada"), UserId("us-eve")
ONE, TWO = InstanceId("oc-one"), InstanceId("oc-two")


class Scene:
    """Ada's instance runs on its machine; Eve's on hers. All is well."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.cloud = FakeCloud(SkewedClock(self.loop))
        self.rows = Rows()
        self.invariants = Invariants(self.rows, self.cloud, fleet_cap=3)
        self.rows.watch = self.invariants.after_transaction
        for instance_id, owner in ((ONE, ADA), (TWO, EVE)):
            self.add(instance_id, owner)

    def add(self, instance_id: InstanceId, owner: UserId) -> None:
        machine_id, ref = MachineId(f"mc-{instance_id}"), f"i-{instance_id}"
        volume_id = volume_of(instance_id)
        machine = Machine(machine_id, MachineState.AVAILABLE, instance_id, volume_id, "v1", Warmth.HOT, EPOCH, EPOCH, provider_ref=ref)
        self.put("machines", machine_id, machine)
        self.put("machines", machine_id, replace(machine, state=MachineState.ASSIGNED, instance_id=instance_id, generation=1))
        instance = Instance(
            instance_id, owner, "a name", DesiredState.RUNNING, Phase.RUNNING, EPOCH, EPOCH, machine_id=machine_id, generation=1
        )
        self.put("instances", instance_id, instance)
        spec = GatewaySpec(instance_id, 1, volume_id, "v1")
        self.cloud.machines[ref] = FakeMachine(machine_id, EPOCH, spec=spec)
        self.cloud.volumes[volume_id] = FakeVolume(instance_id=instance_id, attached_to=machine_id)
        self.cloud.routes[instance_id] = FakeRoute(Route(instance_id, machine_id, owner, 1), f"{machine_id}:8080")
        self.cloud.secrets[instance_id] = FakeSecret({}, 0, ref)
        self.cloud.groups.add(machine_id)

    def put(self, table: str, key: Any, row: Any) -> None:
        self.rows.committed([(table, key, row)])

    def machine(self, of: InstanceId = ONE, **changes: Any) -> None:
        machine = self.rows.machines[MachineId(f"mc-{of}")]
        self.put("machines", machine.id, replace(machine, **changes))

    def instance(self, of: InstanceId = ONE, **changes: Any) -> None:
        self.put("instances", of, replace(self.rows.instances[of], **changes))

    def there(self, of: InstanceId = ONE) -> FakeMachine:
        return self.cloud.machines[f"i-{of}"]

    def look(self) -> None:
        """All checks that follow calls."""
        for call in ("machines.launch", "gateways.start", "router.bind"):
            self.invariants.after_call(call)
        self.invariants.look_for_orphans(1.0, 60.0, 60.0)

    def break_and_look(self, break_it: Callable[[Scene], None]) -> None:
        break_it(self)
        self.look()

    def add_machine(self, name: str) -> None:
        new = Machine(MachineId(name), MachineState.INITIALIZING, InstanceId(name), VolumeId(name), "v1", Warmth.HOT, EPOCH, EPOCH)
        self.put("machines", new.id, new)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.loop.close()


def test_nothing_is_wrong_with_what_is_right(scene: Scene) -> None:
    scene.look()
    assert list(scene.invariants.orphans()) == []


def two_machines_for_one_instance(scene: Scene) -> None:
    scene.add_machine("mc-other")
    other = scene.rows.machines[MachineId("mc-other")]
    scene.put("machines", other.id, replace(other, state=MachineState.AVAILABLE))
    scene.put("machines", other.id, replace(other, state=MachineState.ASSIGNED, instance_id=ONE))


def another_machine_in_the_same_generation(scene: Scene) -> None:
    scene.instance(machine_id=MachineId("mc-oc-two"))


def a_machine_goes_from_one_instance_to_another(scene: Scene) -> None:
    scene.machine(instance_id=TWO)


def an_instance_has_a_machine_that_is_not_bound_to_it(scene: Scene) -> None:
    scene.instance(machine_id=MachineId("mc-oc-two"), generation=2)


def a_machine_serves_a_second_user(scene: Scene) -> None:
    scene.invariants.mounts()
    scene.cloud.kill("i-oc-two")
    scene.there().spec = GatewaySpec(TWO, 2, volume_of(TWO), "v1")
    scene.cloud.volumes[volume_of(TWO)].attached_to = MachineId("mc-oc-one")


def a_machine_is_launched_without_a_row(scene: Scene) -> None:
    scene.cloud.machines["i-unknown"] = FakeMachine(MachineId("mc-unknown"), EPOCH)


def a_machine_that_no_row_knows(scene: Scene) -> None:
    scene.cloud.machines["i-unknown"] = FakeMachine(MachineId("mc-unknown"), EPOCH)
    scene.invariants.look_for_orphans(61.0, 60.0, 60.0)


def a_route_of_a_deleted_instance(scene: Scene) -> None:
    scene.rows.instances[ONE] = replace(scene.rows.instances[ONE], phase=Phase.DELETED, machine_id=None)
    scene.machine(reserved_instance_id=InstanceId("oc-other"))
    scene.invariants.look_for_orphans(61.0, 60.0, 60.0)


def a_readable_secret_of_a_deleted_instance(scene: Scene) -> None:
    scene.rows.instances[ONE] = replace(scene.rows.instances[ONE], phase=Phase.DELETED, machine_id=None)
    del scene.cloud.routes[ONE]
    scene.invariants.look_for_orphans(61.0, 60.0, 60.0)


def a_machine_is_said_to_be_terminated_and_exists(scene: Scene) -> None:
    scene.machine(state=MachineState.TERMINATING)
    scene.machine(state=MachineState.TERMINATED)


def an_instance_is_said_to_be_deleted_and_has_its_route(scene: Scene) -> None:
    scene.instance(phase=Phase.DELETING, desired=DesiredState.DELETED)
    scene.cloud.secrets[ONE].retired = True
    scene.invariants.after_call("vault.retire")
    scene.instance(phase=Phase.DELETED)


def an_instance_is_said_to_be_deleted_and_its_secret_is_readable(scene: Scene) -> None:
    scene.instance(phase=Phase.DELETING, desired=DesiredState.DELETED)
    scene.there().spec = None
    del scene.cloud.routes[ONE]
    scene.invariants.after_call("router.release")
    scene.instance(phase=Phase.DELETED)


def an_instance_is_said_to_be_deleted_and_its_gateway_runs(scene: Scene) -> None:
    scene.instance(phase=Phase.DELETING, desired=DesiredState.DELETED)
    scene.cloud.secrets[ONE].retired = True
    del scene.cloud.routes[ONE]
    scene.invariants.after_call("router.release")
    scene.instance(phase=Phase.DELETED)


def an_instance_is_said_to_be_purged_and_has_its_volume(scene: Scene) -> None:
    scene.rows.instances[ONE] = replace(scene.rows.instances[ONE], phase=Phase.DELETED)
    del scene.cloud.secrets[ONE]
    scene.instance(phase=Phase.PURGED)


def more_rows_than_the_cap(scene: Scene) -> None:
    for name in ("mc-three", "mc-four"):
        scene.add_machine(name)


def more_machines_than_the_cap(scene: Scene) -> None:
    for name in ("mc-three", "mc-four"):
        ended = replace(scene.rows.machines[MachineId("mc-oc-one")], id=MachineId(name), state=MachineState.TERMINATED)
        scene.rows.machines[ended.id] = ended
        scene.cloud.machines[name] = FakeMachine(MachineId(name), EPOCH)


def a_machine_is_launched_twice(scene: Scene) -> None:
    scene.cloud.machines["i-again"] = FakeMachine(MachineId("mc-oc-one"), EPOCH)


def a_credential_in_an_event(scene: Scene) -> None:
    scene.put("events", 1, Event(EventName.INSTANCE_CHANGED, EPOCH, detail={"key": f"{CLEAR}1"}))


def a_credential_in_an_error(scene: Scene) -> None:
    scene.instance(last_error=f"the key {CLEAR}1 was refused")


def a_credential_in_the_pools_memory(scene: Scene) -> None:
    scene.put("pool", 1, PoolMemory(last_error=f"{CLEAR}1"))


def a_credential_in_a_label(scene: Scene) -> None:
    scene.cloud.labels["i-oc-one"] = {"Token": f"{CLEAR}1"}


def a_credential_in_the_log(scene: Scene) -> None:
    scene.invariants.after_log({"event": "placed", "token": f"{CLEAR}1"})


def a_gateway_runs_without_its_volume(scene: Scene) -> None:
    scene.cloud.volumes[volume_of(ONE)].attached_to = MachineId("mc-oc-two")


def two_machines_write_for_one_instance(scene: Scene) -> None:
    scene.there(TWO).spec = scene.there(ONE).spec


def a_gateway_runs_on_the_data_of_another(scene: Scene) -> None:
    scene.cloud.volumes[volume_of(ONE)].instance_id = TWO


def a_route_lets_another_user_pass(scene: Scene) -> None:
    scene.cloud.routes[ONE] = FakeRoute(Route(ONE, MachineId("mc-oc-one"), EVE, 1), "mc-oc-one:8080")


def a_route_leads_to_another_users_gateway(scene: Scene) -> None:
    scene.cloud.routes[ONE] = FakeRoute(Route(ONE, MachineId("mc-oc-two"), ADA, 1), "mc-oc-two:8080")


def an_instance_changes_its_owner(scene: Scene) -> None:
    scene.instance(owner_id=EVE)


def a_machine_skips_a_state(scene: Scene) -> None:
    scene.machine(state=MachineState.AVAILABLE)


def an_instance_skips_a_phase(scene: Scene) -> None:
    scene.instance(phase=Phase.PURGED)


def a_strangers_error(scene: Scene) -> None:
    scene.machine(last_error="Unexpected KeyError.")


BROKEN: list[tuple[int, Callable[[Scene], None]]] = [
    (1, two_machines_for_one_instance), (1, another_machine_in_the_same_generation), (1, a_machine_goes_from_one_instance_to_another),
    (1, an_instance_has_a_machine_that_is_not_bound_to_it), (1, a_machine_serves_a_second_user),
    (2, a_machine_that_no_row_knows), (2, a_route_of_a_deleted_instance), (2, a_readable_secret_of_a_deleted_instance),
    (3, a_machine_is_said_to_be_terminated_and_exists), (3, an_instance_is_said_to_be_deleted_and_has_its_route),
    (3, an_instance_is_said_to_be_deleted_and_its_secret_is_readable), (3, an_instance_is_said_to_be_deleted_and_its_gateway_runs),
    (3, an_instance_is_said_to_be_purged_and_has_its_volume),
    (4, more_rows_than_the_cap), (4, more_machines_than_the_cap), (4, a_machine_is_launched_twice),
    (4, a_machine_is_launched_without_a_row),
    (5, a_credential_in_an_event), (5, a_credential_in_an_error), (5, a_credential_in_the_pools_memory), (5, a_credential_in_a_label),
    (5, a_credential_in_the_log),
    (6, a_gateway_runs_without_its_volume), (6, a_gateway_runs_on_the_data_of_another),
    (7, a_route_lets_another_user_pass), (7, a_route_leads_to_another_users_gateway), (7, an_instance_changes_its_owner),
    (9, a_machine_skips_a_state), (9, an_instance_skips_a_phase), (9, a_strangers_error),
    (10, two_machines_write_for_one_instance),
]  # fmt: skip


@pytest.mark.parametrize(("number", "break_it"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_invariant_is_seen(scene: Scene, number: int, break_it: Callable[[Scene], None]) -> None:
    with pytest.raises(Violation) as raised:
        scene.break_and_look(break_it)
    assert raised.value.number == number, str(raised.value)


def test_the_meter_counts_what_there_is(scene: Scene) -> None:
    assert list(rest.miscounted(scene.rows, scene.cloud)) == []


MISCOUNTED: dict[str, Callable[[FakeCloud], object]] = {
    "the meter counts 2 machines, and 1 exist": lambda cloud: cloud.machines.popitem(),
    "the meter counts 2 volumes, and 3 exist": lambda cloud: cloud.volumes.update({VolumeId("vol-x"): FakeVolume()}),
    "the meter counts 2 secrets, and 1 exist": lambda cloud: cloud.secrets.popitem(),
    "the meter counts 2 routes, and 1 exist": lambda cloud: cloud.routes.popitem(),
}


@pytest.mark.parametrize("said", MISCOUNTED)
def test_a_meter_that_counts_wrong_is_seen(scene: Scene, said: str) -> None:
    MISCOUNTED[said](scene.cloud)
    assert list(rest.miscounted(scene.rows, scene.cloud)) == [said]


def test_the_meter_counts_what_a_deleted_instance_keeps_and_not_its_route(scene: Scene) -> None:
    scene.rows.instances[ONE] = replace(scene.rows.instances[ONE], phase=Phase.DELETED, machine_id=None)
    machine = scene.rows.machines[MachineId("mc-oc-one")]
    scene.rows.machines[machine.id] = replace(machine, state=MachineState.TERMINATED)
    scene.cloud.kill("i-oc-one")
    assert list(rest.miscounted(scene.rows, scene.cloud)) == ["the meter counts 1 routes, and 2 exist"]
    del scene.cloud.routes[ONE]
    assert list(rest.miscounted(scene.rows, scene.cloud)) == []


def test_a_stopped_machine_mounts_nothing(scene: Scene) -> None:
    scene.cloud.volumes[volume_of(ONE)].attached_to = None
    with pytest.raises(Violation, match=r"its volume .* is elsewhere"):
        scene.look()
    scene.there().health = MachineHealth.STOPPED
    scene.look()
