"""A key that the model's provider refuses, as the log of a gateway tells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.loglines import LogWish, chosen
from openclaw_hosted.domain.naming import InstanceId

LOG_LINES: Final = 200
REFUSED: Final = re.compile(
    r"\b401\b(?=[^\n]{0,60}(?:unauthori[sz]ed|key|auth))|(?:status|http|code|error)\W{0,3}401\b|invalid[_ -]?api[_ -]?key"
    r"|incorrect api key|authentication_error|invalid x-api-key|api key not valid",
    re.IGNORECASE,
)
"""How providers say it."""
MAYBE_REFUSED: Final = r"401|[Aa][Pp][Ii].?[Kk][Ee][Yy]|uthentication_error|UTHENTICATION_ERROR"
"""A plain expression that matches whatever `REFUSED` matches, and more: for a search of many logs at once."""


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """One that stands. `since` is in seconds since the epoch; `tokens` is what the instance had used today as it was seen, if it says."""

    instance_id: InstanceId
    since: float
    tokens: int | None = None


def refused_at(lines: Sequence[str], instance: Instance) -> float | None:
    """When its key was refused last, since its present settings are in force; None where its log does not say so. A line that tells no
    time counts from then on."""
    found = None
    for line in chosen(lines, LogWish(since=instance.phase_changed_at)):
        if REFUSED.search(line.text):
            found = instance.phase_changed_at if line.at is None else line.at
    return found


def is_over(refusal: KeyRefusal, instance: Instance, tokens: int | None) -> bool:
    """Whether it stands no more: its settings are others since, or it was restarted, or its model has answered since."""
    if instance.phase_changed_at > refusal.since:
        return True
    return tokens is not None and refusal.tokens is not None and tokens > refusal.tokens
