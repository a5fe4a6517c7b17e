"""What one process counts for the history between two writings: how long steps took, and calls to the cloud.

A minute's worth is a handful of numbers, so counting costs nothing; whoever writes takes all of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from openclaw_hosted.domain.history import EMPTY, Bucket, Resolution
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.measures import Calls, lasted

MOST_MINUTES: Final = 60
"""Of which anything is kept while it can't be written; the oldest go first."""
MOST_NAMES: Final = 100
"""Of calls within one minute; those beyond count as `OTHER`."""
OTHER: Final = "other"


class Outcome(Enum):
    """What came of a call."""

    WELL = Calls(1)
    FAILED = Calls(1, failed=1)
    THROTTLED = Calls(1, throttled=1)


class Tally:
    """Counts since it was last taken. Of one event loop."""

    def __init__(self) -> None:
        self._minutes: dict[int, Bucket] = {}

    def step(self, name: StepName, began: float, ended: float) -> None:
        """A step of a placement or a deletion that succeeded, in seconds since the epoch."""
        self._add(ended, Bucket(steps={name: lasted(max(0.0, ended - began))}))

    def call(self, name: str, outcome: Outcome, at: float) -> None:
        """A call to the cloud, such as `ec2:CreateFleet`."""
        known = self._minutes.get(Resolution.MINUTE.start_of(at), EMPTY).calls
        self._add(at, Bucket(calls={name if name in known or len(known) < MOST_NAMES else OTHER: outcome.value}))

    def take(self) -> list[tuple[float, Bucket]]:
        """All, each with the minute that it is of; from now on they are the caller's."""
        taken = [(float(start), bucket) for start, bucket in sorted(self._minutes.items())]
        self._minutes.clear()
        return taken

    def give_back(self, parts: list[tuple[float, Bucket]]) -> None:
        """What could not be written."""
        for at, part in parts:
            self._add(at, part)

    def _add(self, at: float, part: Bucket) -> None:
        start = Resolution.MINUTE.start_of(at)
        self._minutes[start] = self._minutes.get(start, EMPTY) + part
        while len(self._minutes) > MOST_MINUTES:
            del self._minutes[min(self._minutes)]
