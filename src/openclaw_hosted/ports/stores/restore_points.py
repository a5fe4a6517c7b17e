"""Restore points: which there are, and which are to be made or to go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, UserId
from openclaw_hosted.domain.restore_point import RestorePoint


class RestorePointStore(Protocol):
    """Rows of restore points. Those of instances are added with the instance's rule (`Changed.points`)."""

    async def get(self, point_id: RestorePointId) -> RestorePoint:
        """One of them. Raises `NotFound`."""
        ...

    async def list_for(self, instance_id: InstanceId) -> Sequence[RestorePoint]:
        """All of one instance, newest first."""
        ...

    async def list_brought(self, owner_id: UserId) -> Sequence[RestorePoint]:
        """The archives that a user brought, newest first."""
        ...

    async def list_all(self) -> Sequence[RestorePoint]:
        """All of them."""
        ...

    async def in_use(self) -> frozenset[RestorePointId]:
        """Those that a volume is to be made from."""
        ...

    async def add(self, point: RestorePoint) -> None:
        """One that no instance's rule adds. Does nothing where it is there."""
        ...

    async def finish(self, point_id: RestorePointId, size_bytes: int | None, event: Event) -> bool:
        """It is ready; whether it was being made until now. Without that nothing is written."""
        ...

    async def condemn(self, point_id: RestorePointId, *, with_instance: bool = False) -> bool:
        """It is to go; whether it may. One that a volume is to be made from may not, and is left as it is; `with_instance`, its own
        instance's volume does not count, as that goes as well."""
        ...

    async def forget(self, point_id: RestorePointId, event: Event) -> bool:
        """Nothing of it is kept any more; whether there was a row."""
        ...
