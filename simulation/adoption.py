"""The database is lost, and rebuilt from what the cloud tells, while no control plane runs."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import delete, insert

from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.services.adoption import AdoptionService, Provider
from openclaw_hosted.store import tables
from openclaw_hosted.store.adoption import SqlAdoption
from openclaw_hosted.store.hints import LocalHints
from simulation.database import SimulatedDatabase
from simulation.world import ARRIVED_SECONDS, World

MARK: Final = "0123abcd"
KEPT: Final = frozenset({"users", "sessions", "pool"})
"""Accounts have to be there before their sessions, and the pool's settings before its loop; neither is found in the cloud."""


class Owner:
    """What stands at the provider of whose it is."""

    async def owner(self) -> str:
        """The mark of the lost database."""
        return MARK

    async def claim(self, mark: str) -> None:
        """It has an owner."""


async def lose_and_adopt(world: World) -> None:
    """Kill all control planes, wait for what they have sent, empty the database, adopt, and have them start again."""
    for plane in list(world.planes.values()):
        world.kill(plane, again_in=ARRIVED_SECONDS + 5)
    await asyncio.sleep(ARRIVED_SECONDS)
    world.history.note("THE DATABASE IS LOST")
    await _lose(world.database)
    targets: dict[str, Any] = world.targets
    ports = {name: targets[name] for name in ("machines", "gateways", "volumes", "vault", "router", "points")}
    store = SqlAdoption(world.database, LocalHints())
    retention = world.options.retention_seconds
    service = AdoptionService(Provider(**ports, ownership=Owner()), store, world.clock, warmth=Warmth.HOT, retention_seconds=retention)
    mark, plan = await service.look()
    await service.carry_out(mark, plan)
    world.history.note(f"ADOPTED {len(plan.instances)} instances and {len(plan.spares)} spares, {len(plan.held_back)} held back")


async def _lose(database: SimulatedDatabase) -> None:
    rows, watch = database.rows, database.rows.watch
    rows.watch = None
    async with database.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table.name not in KEPT:
                await connection.execute(delete(table))
        await connection.execute(insert(tables.identity).values(mark="ffffffff"))
    rows.watch = watch
