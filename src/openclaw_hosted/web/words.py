"""How the console puts events and figures for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.words import PHASE_WORDS, event_words
from openclaw_hosted.web.language import ENGLISH, instant

_BAD: Final = frozenset({
    EventName.INSTANCE_FAILED, EventName.MACHINE_LAUNCH_FAILED, EventName.GATEWAY_HUNG, EventName.BACKUP_FAILED,
    EventName.ORPHANS_HELD_BACK, EventName.LOOP_ROW_FAILED, EventName.RESTORE_POINT_FAILED, EventName.RESTORE_POINT_LOST,
})  # fmt: skip
_WARN: Final = frozenset({
    EventName.INSTANCE_MACHINE_LOST, EventName.INSTANCE_MOVING, EventName.MACHINE_NOTICED, EventName.GATEWAY_RESTARTED,
    EventName.INSTANCE_HELD, EventName.INSTANCE_KEY_REFUSED, EventName.INSTANCE_FILLED_DISK, EventName.POOL_PAUSED,
})  # fmt: skip
_GOOD: Final = frozenset({EventName.INSTANCE_RUNNING, EventName.MACHINE_AVAILABLE, EventName.POOL_RESUMED, EventName.BACKUP_MADE})


def event_tone(name: EventName) -> str:
    """The colour in which an event is shown."""
    if name in _BAD:
        return "bad"
    return "warn" if name in _WARN else "good" if name in _GOOD else ""


def figure(value: float, unit: str = "") -> str:
    """A figure of a plot, with its unit: `3`, `2.5`, `12 s`, `$0.0421`."""
    if unit == "s":
        return ENGLISH.duration(value)
    if unit == "$":
        return f"${value:,.3f}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def stamp(at: float) -> str:
    """A time of a table, in UTC, to the minute."""
    return f"{instant(at):%Y-%m-%d %H:%M}"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def phase_option(phase: Phase) -> tuple[str, str]:
    """A phase as a choice."""
    return phase, PHASE_WORDS[phase]


def state_option(state: MachineState) -> tuple[str, str]:
    """A machine's state as a choice."""
    return state, state.capitalize()


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    each.__name__: each for each in (event_words, event_tone, figure, stamp, ordinal, phase_option, state_option)
}
