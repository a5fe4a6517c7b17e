"""What one look of the pool loop costs with a large fleet.

    make bench-pool                 # or: python -m bench.pool --machines 10000 --json FILE

The fleet stands in a real database, most of it assigned; each tick begins with one spare missing, so that it plans and writes as well.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bench.harness import parser, publish
from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.pool import PoolController
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import volume_of
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.store import Store, open_store, tables

SPARES = 100
IMAGE = "bench"
TARGET_SECONDS = 1.0


async def measure(folder: Path, machines: int, ticks: int) -> dict[str, Any]:
    """Fill a database, and tick."""
    store = await open_store(f"sqlite:///{folder / 'platform.sqlite'}")
    await add_fleet(store, machines)
    policy = PoolPolicy(spares=SPARES, fleet_cap=10 * machines, image=IMAGE, max_launches_at_once=machines)
    cpu, wall = [], []
    for number in range(ticks):
        controller = PoolController(ports_of(store), ControllerOptions(policy=replace(policy, spares=SPARES + number)))
        began, cpu_began = time.perf_counter(), time.process_time()
        await controller.tick()
        cpu.append(time.process_time() - cpu_began)
        wall.append(time.perf_counter() - began)
    _, others = await store.machines.list_pooled()
    await store.aclose()
    return {
        "machines": machines,
        "assigned": others,
        "cpu_seconds_per_tick": statistics.median(cpu),
        "cpu_seconds_worst": max(cpu),
        "seconds_per_tick": statistics.median(wall),
        "target_cpu_seconds": TARGET_SECONDS,
    }


def ports_of(store: Store) -> Ports:
    """The store, and a fake provider."""
    cloud = FakeCloud(SystemClock())
    return Ports(
        FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud),
        FakeVolumes(cloud), KeptMeter(),
        SystemClock(), SystemIds(), store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
            store.restore_points, store.hints,
    )  # fmt: skip


async def add_fleet(store: Store, machines: int) -> None:
    """All assigned but for the spares, of which one is missing."""
    ids, now = SystemIds(), time.time()
    rows = []
    for number in range(machines):
        reserved = ids.instance_id()
        state = MachineState.AVAILABLE if number < SPARES - 1 else MachineState.ASSIGNED
        rows.append({
            "id": f"mc-{number:08}", "state": state, "reserved_instance_id": reserved, "volume_id": volume_of(reserved), "image": IMAGE,
            "warmth": Warmth.HOT, "instance_id": None if state is MachineState.AVAILABLE else reserved,
            "created_at": now, "state_changed_at": now,
        })  # fmt: skip
    async with store.database.write() as connection:
        await connection.execute(insert(tables.machines), rows)


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    return [
        ("one tick of the pool loop", "CPU, median", "CPU, worst", "time, median"),
        (
            f"{result['machines']} machines, {result['assigned']} of them assigned",
            f"{result['cpu_seconds_per_tick'] * 1000:.1f} ms",
            f"{result['cpu_seconds_worst'] * 1000:.1f} ms",
            f"{result['seconds_per_tick'] * 1000:.1f} ms",
        ),
        ("target", f"{TARGET_SECONDS * 1000:.0f} ms", "", ""),
    ]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--machines", type=int, default=10_000)
    arguments.add_argument("--ticks", type=int, default=20)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        result = asyncio.run(measure(Path(folder), given.machines, given.ticks))
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
