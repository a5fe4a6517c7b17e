"""Whatever is done to the simulated store, SQLite and Postgres, they answer the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import InstanceEvent, Step, StepName
from openclaw_hosted.domain.machine import MachineFailure, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, volume_of
from openclaw_hosted.ports.stores import Caps, IdempotencyKey, Lease, NewInstance, NewMachine
from openclaw_hosted.store.database import Database as SqlDatabase
from simulation.mutants import AS_FOUND
from tests.simulation.stores import OWNERS, SideBySide, empty, in_memory, in_sql
from tests.support.postgres import postgres_server, postgres_url
from tests.support.store import new_database

__all__ = ["postgres_server", "postgres_url"]

NUMBERS = st.integers(0, 3)
PICK = st.integers(0, 1_000_000)
HELD = st.sampled_from([1000.0, 1000.0, 1000.0, -1.0])
"""How long leases last: past the end of the test, or not at all."""
LATER = st.sampled_from([0.0, 0.0, 500.0])
FLAG = st.booleans()
EVENTS = st.sampled_from(list(InstanceEvent))
OWNER = st.sampled_from(OWNERS)
ZONES = st.sampled_from(["", "a", "b"])


def machine_id(number: int) -> MachineId:
    return MachineId(f"mc-{number}")


def instance_id(number: int) -> InstanceId:
    return InstanceId(f"oc-{number}")


class StoresAgree(RuleBasedStateMachine):
    """Rules are the operations; after each of them all that can be read is compared."""

    def __init__(self, runner: asyncio.Runner, databases: list[SqlDatabase]) -> None:
        super().__init__()
        for database in databases:
            runner.run(empty(database))
        self.all = SideBySide(runner, [in_memory(), *(in_sql(database) for database in databases)])
        self.now = 1000.0

    def later(self) -> float:
        self.now += 1
        return self.now

    def event(self, name: EventName = EventName.INSTANCE_CHANGED) -> Event:
        return Event(name, self.now, detail={"at": self.now})

    def a_lease(self, pick: int) -> tuple[Lease, ...]:
        return self.all.leases[-1 - pick % min(6, len(self.all.leases))]

    @invariant()
    def everything_that_can_be_read_is_the_same(self) -> None:
        self.all.compare()

    @rule(numbers=st.lists(NUMBERS, unique=True, max_size=3), cap=NUMBERS, warmth=st.sampled_from(Warmth), zone=ZONES)
    def add_machines(self, numbers: list[int], cap: int, warmth: Warmth, zone: str) -> None:
        new = [NewMachine(machine_id(n), instance_id(n), volume_of(instance_id(n)), "v1", warmth, zone) for n in numbers]
        now = self.later()
        events = [Event(EventName.MACHINE_LAUNCHED, now, machine_id=each.id) for each in new]
        self.all.do(lambda store, _: store.machines.add(new, cap, now, events))

    @rule(number=NUMBERS, ref=NUMBERS, cap=NUMBERS)
    def adopt_a_machine(self, number: int, ref: int, cap: int) -> None:
        new = NewMachine(machine_id(number), instance_id(number), volume_of(instance_id(number)), "v1", Warmth.HOT)
        now, event = self.later(), self.event(EventName.MACHINE_ADOPTED)
        self.all.do(lambda store, _: store.machines.adopt(new, f"ref-{ref}", cap, now, event))

    @rule(seconds=HELD)
    def lease_machines(self, seconds: float) -> None:
        self.all.lease(lambda store: store.machines.lease_due(100, seconds))

    @precondition(lambda self: self.all.leases)
    @rule(pick=PICK, what=st.sampled_from(["launched", "located", "ready", "renew", "put off", "put off with an error"]), seconds=LATER)
    def work_on_a_leased_machine(self, pick: int, what: str, seconds: float) -> None:
        leases, now, event = self.a_lease(pick), self.later(), self.event()

        def work(store: Any, number: int) -> Any:
            lease = leases[number]
            return {
                "launched": lambda: store.machines.launched(lease, f"ref-{lease.key}", now),
                "located": lambda: store.machines.located(lease, "host:1", "a"),
                "ready": lambda: store.machines.became_ready(lease, now, event),
                "renew": lambda: store.machines.renew(lease, 1000.0),
                "put off": lambda: store.machines.put_off(lease, seconds, None),
                "put off with an error": lambda: store.machines.put_off(lease, seconds, "no", counts=pick % 2 == 0),
            }[what]()

        self.all.do(work)

    @rule(number=NUMBERS, unassigned_only=FLAG)
    def condemn(self, number: int, unassigned_only: bool) -> None:
        now, event = self.later(), self.event()
        self.all.do(
            lambda store, _: store.machines.condemn(machine_id(number), MachineFailure.DIED, now, event, unassigned_only=unassigned_only)
        )

    @rule(number=NUMBERS)
    def see_gone(self, number: int) -> None:
        now, event = self.later(), self.event()
        self.all.do(lambda store, _: store.machines.seen_gone(machine_id(number), now, event))

    @rule(number=NUMBERS)
    def relocate(self, number: int) -> None:
        self.all.do(lambda store, _: store.machines.relocate(machine_id(number), "host:2"))

    @rule(number=NUMBERS, owner=OWNER, key=st.none() | NUMBERS, fingerprint=FLAG, sealed=FLAG, platform=NUMBERS, per_user=NUMBERS)
    def create(self, number: int, owner: Any, key: int | None, fingerprint: bool, sealed: bool, platform: int, per_user: int) -> None:
        chosen = GatewaySettings(ModelProvider.OPENAI) if sealed else GatewaySettings()
        names = frozenset({Credential.MODEL_API_KEY}) if sealed else frozenset[Credential]()
        new = NewInstance(owner, f"n{number}", chosen, names, instance_id(number + 10) if number else None, "full")
        once = None if key is None else IdempotencyKey(f"key-{key}", str(fingerprint))
        now = self.later()
        seal = (lambda got: f"sealed for {got}".encode()) if sealed else (lambda _: None)
        self.all.do(lambda store, _: store.instances.create(new, seal, Caps(platform, per_user), once, now))

    @rule(seconds=HELD)
    def lease_instances(self, seconds: float) -> None:
        self.all.lease(lambda store: store.instances.lease_due(100, seconds))

    @precondition(lambda self: self.all.leases)
    @rule(
        pick=PICK,
        what=st.sampled_from(["claim", "claim", "renew", "put off", "put off with an error", "unbind", "forget", "told", "steps"]),
    )
    def work_on_a_leased_instance(self, pick: int, what: str) -> None:
        leases, now, event = self.a_lease(pick), self.later(), self.event()
        steps = [Step(StepName.SECRET, 1, pick % 2, 5.0, now), Step(StepName.VOLUME, 1, 1, now, error="no")]

        def work(store: Any, number: int) -> Any:
            lease, instances = leases[number], store.instances
            return {
                "claim": lambda: instances.claim_machine(lease, now, event),
                "renew": lambda: instances.renew(lease, 1000.0),
                "put off": lambda: instances.put_off(lease, 0.0, None),
                "put off with an error": lambda: instances.put_off(lease, 500.0, "no"),
                "unbind": lambda: instances.unbind_machine(lease),
                "forget": lambda: instances.forget_sealed(lease, 1 + pick % 2),
                "told": lambda: instances.note_restart(lease, pick % 3),
                "steps": lambda: instances.record_steps(lease, steps),
            }[what]()

        self.all.do(work)

    @precondition(lambda self: self.all.leases)
    @rule(
        pick=PICK, event=EVENTS, applied=st.none() | NUMBERS, restarts=st.none() | NUMBERS, purge=st.sampled_from([1.0, 1e12]), noted=FLAG
    )
    def settle(self, pick: int, event: InstanceEvent, applied: int | None, restarts: int | None, purge: float, noted: bool) -> None:
        leases, now = self.a_lease(pick), self.later()
        note = self.event(EventName.INSTANCE_RUNNING) if noted else None
        steps = [Step(StepName.PROBE, 1, 1, now, now)] if noted else []
        self.all.do(
            lambda store, number: store.instances.settle(
                leases[number], event, now, note=note, applied_revision=applied, restarts_done=restarts, purge_after=purge,
                error="no" if pick % 3 == 0 else None, steps=steps,
            )
        )  # fmt: skip

    @rule(number=NUMBERS, machine=NUMBERS, given=FLAG)
    def lose_the_machine(self, number: int, machine: int, given: bool) -> None:
        now, event = self.later(), self.event()
        lost = instance_id(number if given else number + 10)
        self.all.do(lambda store, _: store.instances.machine_lost(lost, machine_id(machine), now, event))

    @rule(number=NUMBERS, given=FLAG, named=FLAG, secret=FLAG, expected=st.none() | NUMBERS)
    def change(self, number: int, given: bool, named: bool, secret: bool, expected: int | None) -> None:
        now, event = self.later(), self.event()
        values: dict[str, Any] = {"name": f"name {now}"} if named else {"settings": GatewaySettings(model=f"m{now}")}
        if secret:
            values |= {"sealed": f"at {now}".encode(), "credential_names": frozenset({Credential.MODEL_API_KEY})}
        changed = instance_id(number if given else number + 10)
        self.all.do(lambda store, _: store.instances.change(changed, now, event, expected_revision=expected, **values))

    @rule(number=NUMBERS, given=FLAG, what=st.sampled_from(["ask_restart", "ask_update", "ask_delete"]))
    def ask(self, number: int, given: bool, what: str) -> None:
        now, event = self.later(), self.event()
        asked = instance_id(number if given else number + 10)
        self.all.do(lambda store, _: getattr(store.instances, what)(asked, now, event))

    @rule(number=NUMBERS, given=FLAG, room=NUMBERS)
    def restore(self, number: int, given: bool, room: int) -> None:
        now, event = self.later(), self.event()
        asked = instance_id(number if given else number + 10)
        self.all.do(lambda store, _: store.instances.ask_restore(asked, Caps(room, room), now, event))

    @rule(token=NUMBERS, seconds=HELD)
    def acquire_and_release_a_named_lease(self, token: int, seconds: float) -> None:
        self.all.do(lambda store, _: store.platform.acquire("pool", f"token-{token}", seconds))
        if token == 0:
            self.all.do(lambda store, _: store.platform.release(Lease("pool", f"token-{token}", 0.0)))

    @rule(what=st.sampled_from(["failed", "succeeded", "pause", "resume", "note", "no note"]), spares=NUMBERS)
    def remember_of_the_pool(self, what: str, spares: int) -> None:
        now = self.later()

        def write(store: Any, _: int) -> Any:
            platform = store.platform
            return {
                "failed": lambda: platform.launch_failed(now, "no"),
                "succeeded": platform.launch_succeeded,
                "pause": lambda: platform.set_pool(paused=True, spares=spares),
                "resume": lambda: platform.set_pool(paused=False),
                "note": lambda: platform.set_pool(status="ready", note="a note"),
                "no note": lambda: platform.set_pool(note=""),
            }[what]()

        self.all.do(write)

    @rule(number=NUMBERS, owner=OWNER)
    def sign_in_and_out(self, number: int, owner: Any) -> None:
        now = self.later()
        session = Session(f"session-{now}", owner, now, now + number)
        self.all.do(lambda store, _: store.accounts.add_session(session, None))
        self.all.do(lambda store, _: store.accounts.session(session.hash, now + 2))
        self.all.do(lambda store, _: store.accounts.sessions(now + 1))
        if number % 2:
            self.all.do(lambda store, _: store.accounts.end_session(session.hash))

    @rule(number=NUMBERS)
    def open_an_instance(self, number: int) -> None:
        now = self.later()
        self.all.do(lambda store, _: store.accounts.arm_grant("session", instance_id(number), now + number))
        self.all.do(lambda store, _: store.accounts.redeem_grant("session", instance_id(number), now + 2))
        self.all.do(lambda store, _: store.accounts.redeem_grant("session", instance_id(number), now + 2))

    @rule()
    def sweep(self) -> None:
        now = self.later()
        self.all.do(lambda store, _: store.accounts.sweep(now))


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def assert_they_agree(runner: asyncio.Runner, urls: list[str], examples: int) -> None:
    databases = [SqlDatabase(url) for url in urls]
    phases = [phase for phase in Phase if phase is not Phase.explain and not (phase is Phase.shrink and AS_FOUND in os.environ)]
    chosen = settings(
        phases=phases,
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(partial(StoresAgree, runner, databases), settings=chosen)  # type: ignore[arg-type] # any maker will do
    finally:
        for database in databases:
            runner.run(database.close())


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return new_database(tmp_path / "platform.sqlite")


def test_the_simulated_store_answers_as_sqlite_does(runner: asyncio.Runner, sqlite_url: str) -> None:
    assert_they_agree(runner, [sqlite_url], 25)


@pytest.mark.postgres
def test_the_simulated_store_answers_as_postgres_does(runner: asyncio.Runner, postgres_url: str) -> None:
    assert_they_agree(runner, [postgres_url], 15)


@pytest.mark.long
@pytest.mark.postgres
def test_the_three_stores_answer_the_same(runner: asyncio.Runner, sqlite_url: str, postgres_url: str) -> None:
    assert_they_agree(runner, [sqlite_url, postgres_url], 300)
