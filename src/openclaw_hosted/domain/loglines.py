"""Lines of a gateway's log, as people read them: when each was written, how grave it is, and which ones somebody wants to see.

A line that does not say when it was written goes on from the one above it, such as a line of a stack trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput

_HEAD: Final = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:[.,]\d+)?(?P<zone>Z|[+-]\d\d:?\d\d)?\s*"
    r"(?:\[?(?P<level>trace|debug|info|warn|warning|error|fatal)\b\]?)?",
    re.IGNORECASE,
)
_AGO: Final = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smhd])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SINCE_HELP: Final = "Give a time such as 2026-11-30T08:00:00Z, or how long ago: 90s, 15m, 2h, 3d."


class Level(StrEnum):
    """How grave a line is, the mildest first."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"

    @property
    def rank(self) -> int:
        """Higher is graver."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `at` is in seconds since the epoch, `level` the lower-case name; both are those of the line above where it has none."""

    text: str
    at: float | None
    level: Level | None


@dataclass(frozen=True, slots=True)
class LogWish:
    """Which lines somebody wants to see."""

    since: float | None = None
    """Seconds since the epoch."""
    level: Level | None = None
    """This grave or graver."""
    search: str = ""
    """What a line has to hold, in any case of letters."""


def read_lines(lines: Sequence[str]) -> Iterator[LogLine]:
    """Each with its time and level. A time without a zone is UTC."""
    at: float | None = None
    level: Level | None = None
    for text in lines:
        if (head := _HEAD.match(text)) is not None:
            at = _seconds(head["at"], head["zone"])
            level = _level(head["level"])
        yield LogLine(text, at, level)


def chosen(lines: Sequence[str], wish: LogWish) -> Sequence[LogLine]:
    """Those that are wanted, in their order. A line that tells no time or level is kept where these are asked for: better one too many."""
    return [line for line in read_lines(lines) if _is_wanted(line, wish)]


def _is_wanted(line: LogLine, wish: LogWish) -> bool:
    late_enough = wish.since is None or line.at is None or line.at >= wish.since
    grave_enough = wish.level is None or line.level is None or line.level.rank >= wish.level.rank
    return late_enough and grave_enough and wish.search.casefold() in line.text.casefold()


def parse_since(text: str, now: float) -> float:
    """The moment that `text` names, in seconds since the epoch. Raises `InvalidInput`."""
    if (ago := _AGO.fullmatch(text.strip())) is not None:
        return now - int(ago["count"]) * _UNIT_SECONDS[ago["unit"]]
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(FieldProblem("since", SINCE_HELP)) from None


def _level(name: str | None) -> Level | None:
    return None if name is None else Level(name.lower().removesuffix("ing") if name.lower() == "warning" else name.lower())


def _seconds(at: str, zone: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(at.replace(" ", "T") + (zone or "+00:00"))
    except ValueError:
        return None
    return moment.timestamp()
