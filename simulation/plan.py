"""What befalls one run, drawn from its seed beforehand, so that a part of it can be left out when a failure is made shorter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LOSES_EVERY: Final = 8
"""One run in so many loses its database."""
STORM_SECONDS: Final = 200.0
"""How long things go wrong, in virtual seconds; then faults stop."""


class Fault(StrEnum):
    """What can befall one call of a control plane to the store or the provider."""

    SLOW = "slow"
    """Takes seconds."""
    FAILED = "failed"
    """No effect, no answer."""
    THROTTLED = "throttled"
    AWAY = "away"
    """The provider itself does not answer."""
    LOST = "lost"
    """The effect is done, its answer is lost."""
    LATE = "late"
    """The caller is told that no answer came, and then the effect comes."""
    DIED_BEFORE = "died_before"
    """The control plane is killed, and the call never left it."""
    DIED_AFTER = "died_after"
    """The control plane is killed once the effect is done."""


STORE_FAULTS: Final = (Fault.SLOW, Fault.FAILED, Fault.LOST, Fault.DIED_BEFORE, Fault.DIED_AFTER)
PORT_FAULTS: Final = tuple(Fault)

PORT_CALLS: Final = (
    "machines.launch", "machines.adopt", "machines.observe", "machines.label", "machines.start", "machines.terminate", "machines.room",
    "gateways.start", "gateways.prepare", "gateways.apply", "gateways.restart", "gateways.suspend", "gateways.resume", "gateways.stop",
    "gateways.status", "gateways.warm_up", "gateways.keep_warm", "gateways.mint_bootstrap",
    "vault.put", "vault.get", "vault.grant", "vault.retire", "vault.restore", "vault.purge", "vault.list",
    "router.prepare", "router.bind", "router.mark", "router.hold", "router.release", "router.probe", "router.list", "router.machines",
    "router.forget",
    "volumes.create", "volumes.detach", "volumes.purge", "volumes.look_at", "volumes.list", "volumes.crowding",
    "points.make", "points.restore", "points.remove", "points.list",
    "gate.allow", "gate.revoke", "gate.sessions",
    "notices.receive", "notices.confirm",
)  # fmt: skip
STORE_CALLS: Final = (
    "machine_store.add", "machine_store.adopt", "machine_store.get", "machine_store.list_live", "machine_store.list_pooled",
    "machine_store.lease_due", "machine_store.renew", "machine_store.launch", "machine_store.locate", "machine_store.become_ready",
    "machine_store.condemn", "machine_store.lose", "machine_store.see_gone", "machine_store.reschedule", "machine_store.observations",
    "machine_store.observe", "machine_store.list_noticed", "machine_store.let_go", "machine_store.notice", "machine_store.leave",
    "instance_store.create", "instance_store.get", "instance_store.list_placed", "instance_store.count_waiting", "instance_store.homes",
    "instance_store.known_ids", "instance_store.lease_due", "instance_store.lease_unfiled", "instance_store.renew",
    "instance_store.claim_machine", "instance_store.volume", "instance_store.want_volume", "instance_store.make_volume",
    "instance_store.record_steps",
    "instance_store.sealed_credentials", "instance_store.hand_over", "instance_store.restart",
    "instance_store.place", "instance_store.take_down", "instance_store.purge", "instance_store.reschedule", "instance_store.change",
    "instance_store.ask_restart", "instance_store.ask_update", "instance_store.ask_delete", "instance_store.ask_restore",
    "instance_store.schedule_point", "instance_store.ask_point", "instance_store.ask_rewind", "instance_store.rewind",
    "point_store.get", "point_store.list_for", "point_store.list_all", "point_store.in_use", "point_store.finish", "point_store.condemn",
    "point_store.forget",
    "account_store.session", "account_store.sessions", "account_store.sweep", "account_store.arm_grant", "account_store.redeem_grant",
    "platform_store.add_event", "platform_store.acquire", "platform_store.release", "platform_store.pool_memory",
    "platform_store.prune", "platform_store.orphans", "platform_store.keep_orphans", "platform_store.set_pool",
    "platform_store.no_capacity", "platform_store.capacity_found", "platform_store.launch_failed", "platform_store.launch_succeeded",
)  # fmt: skip
MIGRATION_CALLS: Final = (
    "legacy.services", "legacy.settings", "legacy.status", "legacy.scale", "legacy.route", "legacy.hold", "legacy.lead",
    "legacy.restore_route", "copies.check", "copies.bring", "copies.settle", "copies.install", "copies.carry_back",
    "migration_store.all", "migration_store.get", "migration_store.put",
)  # fmt: skip
"""What an operator's command calls beside that, in runs with an older system."""
MIGRATES_EVERY: Final = 8
MOST_MIGRATION_STRIKES: Final = 10
CELLS: Final = tuple(
    [(call, fault) for call in PORT_CALLS for fault in PORT_FAULTS] + [(call, fault) for call in STORE_CALLS for fault in STORE_FAULTS]
)
"""The whole space of faults of calls."""


class ActKind(StrEnum):
    """What people, the cloud and the computers do in a run."""

    USER_CREATES = "user creates"
    USER_CHANGES = "user changes credentials"
    USER_RESTARTS = "user restarts"
    USER_OPENS = "user opens"
    USER_DELETES = "user deletes"
    USER_RESTORES = "user undoes a deletion"
    USER_SIGNS_OUT = "user signs out"
    USER_MAKES_POINT = "user asks for a restore point"
    USER_REWINDS = "user goes back to a restore point"
    OPERATOR_SETS_SPARES = "operator sets the spares"
    OPERATOR_PAUSES = "operator pauses the pool"
    OPERATOR_RESUMES = "operator resumes the pool"
    OPERATOR_RETIRES = "operator retires a spare"
    OPERATOR_SETS_CAP = "operator sets the cap"
    OPERATOR_SETS_IMAGE = "operator sets the image"
    MACHINE_DIES = "machine dies"
    MACHINE_STOPS = "machine stops"
    MACHINES_INTERRUPTED = "machines of a zone are interrupted"
    MACHINES_NOTICED = "machines of a zone get notice, and are interrupted"
    MACHINE_RECOMMENDED = "a machine is recommended to be left"
    NOTICE_DOUBLED = "a notice comes twice, and late"
    NOTICE_LOST = "a notice is lost"
    NOTICE_FORGED = "a notice is about a machine that does not end, or that is not ours"
    TURN_TAKES_LONG = "a turn takes long"
    OPERATOR_DRAINS = "operator drains a machine"
    GATEWAY_CRASHES = "gateway crashes"
    GATEWAY_HANGS = "gateway hangs"
    GATEWAY_REFUSES = "gateway refuses its settings"
    NEVER_BOOTS = "next machine never boots"
    BOOTS_LATE = "next machine boots late"
    ZONE_FULL = "a zone is full"
    ALL_FULL = "all zones are full"
    CLOUD_AWAY = "the cloud is away"
    CLOUD_THROTTLES = "the cloud throttles"
    DATABASE_AWAY = "the database is away"
    PLANE_KILLED = "a control plane is killed"
    PLANE_STOPPED = "a control plane is stopped"
    PLANE_SKEWED = "a control plane's clock jumps"
    HINTS_LOST = "hints are lost"
    INTRUDER_TERMINATES = "intruder terminates a machine"
    INTRUDER_LABELS = "intruder labels a machine"
    INTRUDER_STARTS = "intruder starts a machine"
    INTRUDER_UNROUTES = "intruder deletes a route"
    INTRUDER_LEAVES = "intruder leaves a secret that no instance has"


_WEIGHTS: Final = {
    ActKind.USER_CREATES: 26,
    ActKind.USER_CHANGES: 5,
    ActKind.USER_RESTARTS: 4,
    ActKind.USER_OPENS: 6,
    ActKind.USER_DELETES: 16,
    ActKind.USER_RESTORES: 4,
    ActKind.USER_MAKES_POINT: 4,
    ActKind.USER_REWINDS: 5,
}


_LEAD_TO: Final = {
    "machines.start": ActKind.MACHINE_STOPS,
    "gate.revoke": ActKind.USER_SIGNS_OUT,
    "account_store.session": ActKind.USER_SIGNS_OUT,
    "machine_store.adopt": ActKind.INTRUDER_STARTS,
    "platform_store.keep_orphans": ActKind.INTRUDER_LEAVES,
    "platform_store.release": ActKind.OPERATOR_SETS_IMAGE,
    "platform_store.launch_failed": ActKind.ALL_FULL,
    "platform_store.launch_succeeded": ActKind.ALL_FULL,
    "machine_store.lose": ActKind.MACHINE_DIES,
    "machine_store.notice": ActKind.MACHINES_NOTICED,
    "machine_store.let_go": ActKind.MACHINES_NOTICED,
    "machine_store.leave": ActKind.OPERATOR_DRAINS,
    "gateways.prepare": ActKind.MACHINES_NOTICED,
    "gateways.suspend": ActKind.OPERATOR_DRAINS,
    "gateways.resume": ActKind.OPERATOR_DRAINS,
    "notices.confirm": ActKind.MACHINES_NOTICED,
    "router.hold": ActKind.MACHINES_NOTICED,
    "instance_store.ask_update": ActKind.GATEWAY_REFUSES,
    "instance_store.hand_over": ActKind.USER_CHANGES,
    "points.restore": ActKind.USER_REWINDS,
    "point_store.get": ActKind.USER_REWINDS,
    "instance_store.ask_rewind": ActKind.USER_REWINDS,
    "instance_store.rewind": ActKind.USER_REWINDS,
    "instance_store.ask_point": ActKind.USER_MAKES_POINT,
}
"""Calls that are seldom made, and what makes them be made."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something done at a moment. `pick` and `size`, from 0 up to 1, choose what it is done to, and how much."""

    at: float
    kind: ActKind
    pick: float
    size: float

    def __str__(self) -> str:
        return f"{self.at:7.1f}  {self.kind} (pick {self.pick:.2f}, size {self.size:.2f})"


@dataclass(frozen=True, slots=True)
class Strike:
    """The `nth` call of this name, in the whole run, is befallen by this."""

    call: str
    nth: int
    fault: Fault

    def __str__(self) -> str:
        return f"call {self.nth} of {self.call}: {self.fault}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that befalls one run."""

    seed: int
    planes: int
    acts: tuple[Act, ...]
    strikes: tuple[Strike, ...]
    loses_database: bool = False
    """Whether the database is lost after the storm, and adopted."""
    migrates: bool = False
    """Whether users come from an older system."""


def make_plan(seed: int) -> Plan:
    """The plan of a seed. Each seed aims at a few cells of the fault space in turn, so that a few hundred reach all of it."""
    rng = random.Random(f"{seed} plan")  # noqa: S311 - it has to be repeated
    aimed = _aimed(seed)
    leading = [_LEAD_TO[call] for call, _ in aimed if call in _LEAD_TO for _ in range(3)]
    acts = [_act(rng, kind) for kind in (*_kinds(rng), *leading)]
    planes = rng.choice((2, 2, 3))
    in_order = tuple(sorted(acts, key=lambda act: act.at))
    migrates = seed % MIGRATES_EVERY == 1
    strikes = (*_strikes(rng, aimed), *(_migration_strikes(seed) if migrates else ()))
    return Plan(seed, planes, in_order, strikes, loses_database=seed % LOSES_EVERY == 0, migrates=migrates)


def _kinds(rng: random.Random) -> list[ActKind]:
    users = [kind for kind, weight in _WEIGHTS.items() for _ in range(weight)]
    others = [kind for kind in ActKind if kind not in _WEIGHTS]
    return users + rng.sample(others, rng.randint(6, 14))


def _act(rng: random.Random, kind: ActKind) -> Act:
    at = rng.uniform(5, STORM_SECONDS * 0.6) if kind is ActKind.USER_CREATES else rng.uniform(15, STORM_SECONDS)
    return Act(round(at, 3), kind, rng.random(), rng.random())


def _strikes(rng: random.Random, aimed: Sequence[tuple[str, Fault]]) -> list[Strike]:
    strikes = [Strike(call, 1 if call in _LEAD_TO else rng.choice((1, 1, 2, 3)), fault) for call, fault in aimed]
    for _ in range(rng.randint(0, 25)):
        call, fault = rng.choice(CELLS)
        strikes.append(Strike(call, 1 + int(rng.expovariate(1 / 12)), fault))
    return list({(strike.call, strike.nth): strike for strike in strikes}.values())


def _migration_strikes(seed: int) -> list[Strike]:
    rng = random.Random(f"{seed} migration strikes")  # noqa: S311 - it has to be repeated
    strikes = []
    for _ in range(rng.randint(3, MOST_MIGRATION_STRIKES)):
        call = rng.choice(MIGRATION_CALLS)
        faults = STORE_FAULTS if "_store." in call else PORT_FAULTS
        strikes.append(Strike(call, 1 + int(rng.expovariate(1 / 4)), rng.choice(faults)))
    return list({(strike.call, strike.nth): strike for strike in strikes}.values())


def _aimed(seed: int, count: int = 20) -> Sequence[tuple[str, Fault]]:
    return [CELLS[(seed * count + number) * 37 % len(CELLS)] for number in range(count)]
