"""A clock on which pauses, polls, graces and patience take a tenth of their time."""

from __future__ import annotations

from openclaw_hosted.adapters.system import SystemClock

HURRY = 10.0


class HurriedClock(SystemClock):
    """For what runs against servers and threads of its own, whose time can't be moved: it runs ten times as fast.

    The date stays true, since rows, leases and the lab compare theirs with it.
    """

    def monotonic(self) -> float:
        return super().monotonic() * HURRY

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / HURRY)
