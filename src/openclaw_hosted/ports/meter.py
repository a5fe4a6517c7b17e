"""Where measurements go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.metering import Reading


class Meter(Protocol):
    """Takes measurements of one deployment, for graphs and alarms."""

    async def publish(self, readings: Sequence[Reading]) -> None:
        """Take readings of this moment, all of them in as few calls as there can be. Lost ones are not made up for."""
        ...
