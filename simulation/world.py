"""A database, a cloud, and the control planes between them: what stands, and what can be done to it."""

from __future__ import annotations

import contextvars
import random
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from dataclasses import replace
from typing import Any, Final

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud, Pace
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.notices import FakeNotices
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.controllers import ControllerOptions
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.domain.restore_point import RestorePointPolicy
from openclaw_hosted.ports.stores import Caps
from simulation.database import of_this_process
from simulation.faults import CALM, Faults
from simulation.history import History
from simulation.ids import EPOCH, SeededIds, SkewedClock
from simulation.invariants import Invariants, Violation
from simulation.loop import VirtualLoop
from simulation.plan import Plan
from simulation.plane import Plane
from simulation.rows import Change

ZONES: Final = ("zone-a", "zone-b")
FLEET_CAP: Final = 18
CAPS: Final = Caps(platform=12, per_user=6)
QUARANTINE_SECONDS: Final = 60.0
OPTIONS: Final = ControllerOptions(
    policy=PoolPolicy(spares=2, fleet_cap=FLEET_CAP, image="v1", ready_timeout_seconds=90, backoff_seconds=2, backoff_cap_seconds=20),
    retention_seconds=60, lease_seconds=15, scan_seconds=4, poll_seconds=0.5, gateway_ready_seconds=30, retry_base_seconds=1,
    retry_cap_seconds=10, away_seconds=3, liveness_seconds=6, orphans_seconds=30, orphan_grace_seconds=45, keep_warm_seconds=12,
    housekeeping_seconds=20, machines_per_hour=1000, quarantine_seconds=QUARANTINE_SECONDS, disk_seconds=20, restore_points_seconds=5,
    elsewhere_seconds=4,
    restore_points=RestorePointPolicy(every_seconds=30, keep=2, making_seconds=120, orphans_kept_seconds=60),
)  # fmt: skip
ORPHANS_LOOK_SECONDS: Final = 5.0
ORPHANS_LONGEST_SECONDS: Final = 240.0
"""The grace begins anew with each process that takes the loop over."""
DATA_LONGEST_SECONDS: Final = ORPHANS_LONGEST_SECONDS + QUARANTINE_SECONDS + OPTIONS.orphans_seconds
"""What may hold a user's data is kept in quarantine first."""
"""The grace period, and time for looks of which each may fail: each control plane counts by itself."""

ARRIVED_SECONDS: Final = 30.0
STOPPED_SECONDS: Final = 1.0
"""How long a control plane has to end when it is asked to."""


class World:
    """Everything that is simulated. The first thing that is not as it should be ends it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = VirtualLoop()
        self.context = contextvars.Context()
        self.faults = Faults(plan)
        self.history = History(self.loop.time)
        self.random = random.Random(f"{plan.seed} world")  # noqa: S311 - it has to be repeated
        self.ids = SeededIds(plan.seed)
        self.clock = SkewedClock(self.loop)
        self.database = of_this_process()
        self.rows = self.database.begin_anew(lambda: EPOCH + self.loop.time())
        self.rows.watch = self._changed
        self.cloud = FakeCloud(self.clock)
        self.options = OPTIONS
        self.invariants = Invariants(self.rows, self.cloud, FLEET_CAP)
        self.planes: dict[int, Plane] = {}
        self.violation: Violation | None = None
        self.ended = self.loop.create_future()
        self.boot_seconds: list[float] = []
        """For the next machines to be launched; others boot in time."""
        self.is_over = False
        self.checks: list[Callable[[str], None]] = []
        """What is looked at after each call as well."""
        self._skews = [0.0, 0.0, 0.0]
        self._caps_until: dict[int, float] = {}
        self._prepare_cloud()

    def _prepare_cloud(self) -> None:
        numbers = iter(range(1, 1_000_000))
        draw = self.random.random
        self.cloud.zones = ZONES
        self.cloud.new_ref = lambda _: f"i-{next(numbers):04}"
        self.cloud.pace = Pace(
            boot=lambda: self.boot_seconds.pop(0) if self.boot_seconds else 2 + 6 * draw(),
            listing=lambda: 3 * draw() if draw() < 0.3 else 0.0,
            end=lambda: 1 + 4 * draw(),
            gateway=lambda: 1 + 3 * draw(),
            capture=lambda: 2 * draw(),
            copy=lambda: 8 * draw(),
        )
        cloud = self.cloud
        self.targets: dict[str, object] = {
            "machines": FakeMachines(cloud), "gateways": FakeGateways(cloud), "vault": FakeVault(cloud), "sealer": FakeSealer(),
            "router": FakeRouter(cloud), "gate": FakeGate(cloud), "volumes": FakeVolumes(cloud), "notices": FakeNotices(cloud),
            "points": FakeRestorePoints(cloud),
        }  # fmt: skip

    def start(self) -> None:
        """Start all control planes."""
        for number in range(self.plan.planes):
            self.start_plane(number)
        self.every(ORPHANS_LOOK_SECONDS, self._look_around)

    def start_plane(self, number: int) -> None:
        """Start the control plane of this number, where it does not run."""
        if number in self.planes or self.is_over:
            return
        plane = Plane(self, number, self._skews[number], self.options)
        self.planes[number] = plane
        plane.start(self.database, self.targets, self.ids, CAPS, lambda: self.kill(plane), lambda topic: self.pass_on(number, topic))
        self.history.note(f"control plane {number} starts")

    def kill(self, plane: Plane, *, again_in: float | None = None) -> None:
        """A control plane is killed; whoever supervises it starts another in its place."""
        if self.planes.get(plane.number) is not plane:
            return
        del self.planes[plane.number]
        self.invariants.forgive_orphans()
        self.history.note(f"control plane {plane.number} is killed")
        plane.kill()
        seconds = 1 + 10 * self.random.random() if again_in is None else again_in
        self.later(seconds, lambda: self.start_plane(plane.number))

    def skew(self, number: int, seconds: float) -> None:
        """The clock of a computer is so many seconds fast from now on."""
        self._skews[number] = seconds
        if number in self.planes:
            self.planes[number].clock.skew = seconds

    def pass_on(self, sender: int, topic: str) -> None:
        """A hint that a process gave reaches the control planes, most of the time."""
        for number, plane in self.planes.items():
            if number == sender:
                continue
            if self.faults.weather.hints_lost or self.random.random() < 0.05:
                continue
            self.later(0.001 + 0.02 * self.random.random(), lambda plane=plane: self._hear(plane, topic))

    def _hear(self, plane: Plane, topic: str) -> None:
        if self.planes.get(plane.number) is plane:
            plane.do(plane.hints.hear(topic))

    def later(self, seconds: float, action: Any) -> None:
        """Do something then, in no process."""
        self.loop.call_later(seconds, self._guarded, action, context=self.context)

    def every(self, seconds: float, action: Any) -> None:
        """Do something again and again until the run is over."""

        def again() -> None:
            if not self.is_over:
                action()
                self.later(seconds, again)

        self.later(seconds, again)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside everything else, in no process."""

        async def guarded() -> None:
            try:
                await work
            except Violation as violation:
                self.fail(violation)

        task = self.loop.create_task(guarded(), context=self.context.copy())
        task.add_done_callback(self._look_at)

    def _look_at(self, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()

    def _guarded(self, action: Any) -> None:
        try:
            action()
        except Violation as violation:
            self.fail(violation)

    def fail(self, violation: Violation) -> None:
        """End the run: an invariant does not hold."""
        if self.violation is None:
            self.violation = violation
            self.history.note(f"VIOLATION of {violation}")
        if not self.ended.done():
            self.ended.set_result(None)

    def happened(self, plane: int, call: str, outcome: str) -> None:
        """A call had its effect, or failed."""
        self.history.call(plane, call, outcome)
        try:
            self.invariants.after_call(call)
            for check in self.checks:
                check(call)
        except Violation as violation:
            self.fail(violation)

    def _changed(self, changes: Sequence[Change]) -> None:
        self.history.changed(changes)
        try:
            self.invariants.after_transaction(changes)
        except Violation as violation:
            self.fail(violation)

    def logged(self, line: MutableMapping[str, Any]) -> None:
        """A line of the control plane's log."""
        self.history.logged(line)
        try:
            self.invariants.after_log(dict(line))
        except Violation as violation:
            self.fail(violation)

    def _note_caps(self) -> None:
        """The cap of a control plane counts until all that it sent before its death has arrived."""
        now = self.loop.time()
        for options in (self.options, *(plane.options for plane in self.planes.values())):
            self._caps_until[options.policy.fleet_cap] = now + ARRIVED_SECONDS
        self.invariants.fleet_cap = max(cap for cap, until in self._caps_until.items() if until >= now)

    def _look_around(self) -> None:
        self._note_caps()
        at_work = [plane for plane in self.planes.values() if not plane.process.is_stopped]
        weather = replace(self.faults.weather, hints_lost=False)
        could_be_removed = weather == CALM and bool(at_work)
        self.invariants.look_for_orphans(ORPHANS_LOOK_SECONDS if could_be_removed else 0.0, ORPHANS_LONGEST_SECONDS, DATA_LONGEST_SECONDS)

    def set_policy(self, policy: PoolPolicy) -> None:
        """New settings, for which all control planes are started anew, one after the other."""
        self.options = replace(self.options, policy=policy)
        self._note_caps()
        for number in range(self.plan.planes):
            self.later(2 + 3 * number, lambda number=number: self._renew(number))

    def _renew(self, number: int) -> None:
        plane = self.planes.get(number)
        if plane is not None and plane.options.policy != self.options.policy:
            plane.stop()
            self.later(STOPPED_SECONDS, lambda: self.kill(plane, again_in=0.5))

    def calm_down(self) -> None:
        """Faults stop, and everything can be had again."""
        self.faults.is_over, self.faults.weather = True, CALM
        self.cloud.capacity.clear()
        self.boot_seconds.clear()
        for plane in self.planes.values():
            self.loop.resume(plane.process)
        self.set_policy(replace(self.options.policy, fleet_cap=FLEET_CAP))

    def failed_instances(self) -> list[Any]:
        """Those that were given up, and wait for their user."""
        return [row for row in self.rows.instances.values() if row.phase is Phase.FAILED]
