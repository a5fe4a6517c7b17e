"""A window of the day, such as from 02:00 to 05:00, in which users may be made to wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput

DAY_SECONDS: Final = 86_400
_FORM: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens` up to `closes`, in seconds since midnight UTC; one that closes before it opens goes over midnight."""

    opens: int
    closes: int

    def is_open(self, now: float) -> bool:
        """Whether `now`, in seconds since the epoch, is in it."""
        second = int(now) % DAY_SECONDS
        if self.opens < self.closes:
            return self.opens <= second < self.closes
        return second >= self.opens or second < self.closes


def parse_window(text: str) -> Window:
    """`02:00-05:00`, in UTC. Raises `InvalidInput`."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidInput(FieldProblem("window", "Give the hours of a day in UTC, such as 02:00-05:00."))
    hours = [int(part) for part in found.groups()]
    opens, closes = hours[0] * 3600 + hours[1] * 60, hours[2] * 3600 + hours[3] * 60
    if opens == closes:
        raise InvalidInput(FieldProblem("window", "It closes when it opens. Leave it out to move users at any time."))
    return Window(opens, closes)
