"""A plan of the simulation, scaled down, on real processes: two control planes on a real Postgres and the local provider, for minutes.

Control planes are killed and stopped, the database is stopped and started again, gateways and whole machines are killed, while users
create, change, restart, delete and restore. Then that ends, and everything has to be as users were told, with nothing left over.
"""

from __future__ import annotations

import heapq
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from openclaw_hosted.adapters.local.processes import supervisor
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.domain.naming import InstanceId, volume_of
from simulation.plan import STORM_SECONDS, Act, ActKind, make_plan
from tests.integration.bad_days.truth import instances, is_empty_but_for_spares, look
from tests.support.platform import RunningPlatform, wait_until
from tests.support.postgres import PostgresServer
from tests.support.waiting import PATIENCE_SECONDS

SECONDS = float(os.environ.get("OPENCLAW_HOSTED_CHAOS_SECONDS", "300"))
CONVERGED_SECONDS = 180
MOST_INSTANCES = 5
SEED = 6
BLOWS = (ActKind.PLANE_KILLED, ActKind.PLANE_STOPPED, ActKind.DATABASE_AWAY, ActKind.GATEWAY_CRASHES, ActKind.MACHINE_DIES)
Thing = TypeVar("Thing")


class Chaos:
    """Two control planes, and what is done to them."""

    def __init__(self, platform: RunningPlatform, server: PostgresServer) -> None:
        self.platform = platform
        self.server = server
        self.commands = (("serve",), ("serve", "--role", "controller", "--replica", "2"))
        self.planes: list[subprocess.Popen[bytes]] = []
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self.done: set[ActKind] = set()
        self.asked = 0
        self.database_is_up = True

    def start(self) -> None:
        self.planes.append(self.platform.launch(*self.commands[0]))
        wait_until(self.platform.is_answering, PATIENCE_SECONDS, lambda: self.platform.output)
        self.planes.append(self.platform.launch(*self.commands[1]))

    def do(self, act: Act, api: httpx.Client) -> None:
        """One act of the plan, as far as it makes sense here."""
        match act.kind:
            case ActKind.PLANE_KILLED:
                self.kill_plane(int(act.pick * 2), 1 + 6 * act.size)
            case ActKind.PLANE_STOPPED:
                self.stop_plane(int(act.pick * 2), 2 + 25 * act.size)
            case ActKind.DATABASE_AWAY:
                self.restart_database(2 + 8 * act.size)
            case ActKind.GATEWAY_CRASHES | ActKind.MACHINE_DIES:
                self.kill_machine(act)
            case _:
                with suppress(httpx.HTTPError):
                    self.ask(act, api)
        self.done.add(act.kind)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.later, (time.monotonic() + seconds, len(self.later), action))

    def kill_plane(self, number: int, seconds: float) -> None:
        plane = self.planes[number]
        plane.kill()
        plane.wait(30)
        self.after(seconds, lambda: self.start_again(number))

    def start_again(self, number: int) -> None:
        if self.planes[number].poll() is not None:
            self.planes[number] = self.platform.launch(*self.commands[number])

    def stop_plane(self, number: int, seconds: float) -> None:
        plane = self.planes[number]
        plane.send_signal(signal.SIGSTOP)
        self.after(seconds, lambda: plane.send_signal(signal.SIGCONT))

    def restart_database(self, seconds: float) -> None:
        if self.database_is_up:
            self.database_is_up = False
            self.server.stop()
            self.after(seconds, self.start_database)

    def start_database(self) -> None:
        if not self.database_is_up:
            self.server.start()
            self.database_is_up = True

    def kill_machine(self, act: Act) -> None:
        machine = one(sorted((self.platform.data_dir / "machines").glob("mc-*")), act.pick)
        if machine is None:
            return
        if act.kind is ActKind.MACHINE_DIES:
            for pid in supervisor.marked_processes(str(machine)):
                supervisor.kill(pid, signal.SIGKILL)
            return
        with suppress(psutil.Error, OSError, ValueError):
            child = SupervisedProcess(machine).status().child_pid
            if child:
                psutil.Process(child).kill()

    def ask(self, act: Act, api: httpx.Client) -> None:
        """What a user asks for. Where no answer comes, they do not know; nobody asks twice but with the same key."""
        found = api.get("/instances").raise_for_status().json()["items"]
        chosen = one(found, act.pick)
        if act.kind is ActKind.USER_CREATES and sum(each["desired_state"] == "running" for each in found) < MOST_INSTANCES:
            self.asked += 1
            body, key = {"name": f"number {self.asked}"}, {"Idempotency-Key": f"key {self.asked}"}
            for _ in range(2):
                with suppress(httpx.HTTPError):
                    api.post("/instances", json=body, headers=key)
        elif chosen is None:
            return
        elif act.kind is ActKind.USER_CHANGES:
            api.patch(f"/instances/{chosen['id']}", json={"settings": {"provider": "echo", "model": f"m{self.asked}"}})
        elif act.kind in (ActKind.USER_RESTARTS, ActKind.USER_RESTORES):
            verb = "restart" if act.kind is ActKind.USER_RESTARTS else "restore"
            api.post(f"/instances/{chosen['id']}/{verb}")
        elif act.kind is ActKind.USER_DELETES:
            api.delete(f"/instances/{chosen['id']}")

    def run_due(self) -> None:
        while self.later and self.later[0][0] <= time.monotonic():
            heapq.heappop(self.later)[2]()

    def calm_down(self) -> None:
        """Everything that was taken away comes back."""
        self.start_database()
        for plane in self.planes:
            if plane.poll() is None:
                plane.send_signal(signal.SIGCONT)
        for number in range(len(self.planes)):
            self.start_again(number)
        wait_until(self.platform.is_answering, PATIENCE_SECONDS, lambda: self.platform.output)


def one(things: Sequence[Thing], pick: float) -> Thing | None:
    return things[int(pick * len(things))] if things else None


def the_plan() -> list[Act]:
    """Acts of a seed that can be done to processes, with a few more blows, as there is one run of it only."""
    plan = make_plan(SEED)
    users = [act for act in plan.acts if act.kind.value.startswith("user ")]
    blows = [Act(20 + 11.0 * number, BLOWS[number % len(BLOWS)], (number * 0.37) % 1, (number * 0.53) % 1) for number in range(16)]
    return sorted([*users, *blows], key=lambda act: act.at)


def test_the_plan_has_every_blow_several_times() -> None:
    kinds = [act.kind for act in the_plan()]
    assert all(kinds.count(blow) >= 3 for blow in BLOWS)
    assert kinds.count(ActKind.USER_CREATES) >= 5


@pytest.mark.long
@pytest.mark.postgres
def test_minutes_of_chaos_lose_nothing_and_leave_nothing(
    platform: RunningPlatform, postgres_server: PostgresServer, postgres_url: str
) -> None:
    platform.environment = {"DATABASE_URL": postgres_url, "POOL_SPARE_COUNT": "1"}
    chaos = Chaos(platform, postgres_server)
    chaos.start()
    with platform.api() as api:
        api.timeout = httpx.Timeout(5)
        began, scale = time.monotonic(), SECONDS / STORM_SECONDS
        for act in the_plan():
            while time.monotonic() < began + act.at * scale:
                chaos.run_due()
                time.sleep(0.05)
            chaos.do(act, api)
        chaos.calm_down()
        api.timeout = httpx.Timeout(30)
        wait_until(lambda: settled(api), CONVERGED_SECONDS, lambda: f"{instances(api)}\n{platform.output[-3000:]}", every=0.5)
        found = instances(api)
        names = [instance["name"] for instance in found]
        assert len(set(names)) == len(names), "a key has made two"
        each_has_what_it_should(platform, found)
        for instance in found:
            api.delete(f"/instances/{instance['id']}").raise_for_status()
        wait_until(lambda: is_empty_but_for_spares(platform, api), CONVERGED_SECONDS, lambda: platform.output[-3000:], every=0.5)
    assert set(BLOWS) <= chaos.done


def settled(api: httpx.Client) -> bool:
    """Whether nothing is under way; what was given up is tried again, as its user would."""
    found = instances(api)
    for instance in found:
        if instance["phase"] == "failed":
            api.post(f"/instances/{instance['id']}/restart")
    return all(instance["phase"] in ("running", "deleted") for instance in found) and bool(api.get("/pool").json()["status"] == "ready")


def each_has_what_it_should(platform: RunningPlatform, found: list[dict[str, Any]]) -> None:
    """A running instance one machine with its own volume, a deleted one none; no machine serves two."""
    truth = look(platform)
    served = Counter(truth.serving.values())
    assert found, "nothing was created"
    for instance in found:
        assert served[instance["id"]] == (instance["phase"] == "running"), (instance, truth)
        assert instance["desired_state"] == instance["phase"], instance
    for machine, instance_id in truth.serving.items():
        if served[instance_id] and any(instance["id"] == instance_id for instance in found):
            assert truth.attached[volume_of(InstanceId(instance_id))] == machine, truth
