"""What happened in a run: every call, and in few lines what a person reads first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from openclaw_hosted.domain.instance import Instance
from simulation.rows import Change

STATES = {"machines": "state", "instances": "phase"}


class History:
    """Lines of a run. `all_lines` has every call and transaction; `short` what was done, and what became of rows."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._entries: list[tuple[float, bool, Any]] = []

    def note(self, text: str) -> None:
        """Something that a person wants to know."""
        self._entries.append((self._time(), True, text))

    def call(self, plane: int, call: str, outcome: str) -> None:
        """A call and what came of it."""
        told = outcome != "done" and "Lost" not in outcome
        self._entries.append((self._time(), told, (plane, call, outcome)))

    def changed(self, changes: Sequence[Change]) -> None:
        """What a transaction changed."""
        for change in changes:
            moved = change.table in STATES and (change.before is None or _state(change.before) != _state(change.after))
            self._entries.append((self._time(), moved, change))

    def logged(self, line: Mapping[str, Any]) -> None:
        """A line of the log."""
        self._entries.append((self._time(), False, dict(line)))

    def short(self) -> list[str]:
        """The lines that a person reads first."""
        return [_line(at, entry) for at, told, entry in self._entries if told]

    def all_lines(self) -> Iterator[str]:
        """Every line."""
        return (_line(at, entry) for at, _, entry in self._entries)

    def digest(self) -> str:
        """Tells two histories apart."""
        digest = hashlib.sha256()
        for line in self.all_lines():
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def _line(at: float, entry: Any) -> str:
    match entry:
        case str():
            text = entry
        case (plane, call, outcome):
            text = f"  [{plane}] {call}: {outcome}"
        case Change():
            text = f"    {_row(entry)}"
        case _:
            text = "    log " + " ".join(f"{key}={value!r}" for key, value in sorted(entry.items()))
    return f"{at:9.3f} {text}"


def _state(value: Any) -> tuple[Any, ...]:
    return (value.phase, value.machine_id) if isinstance(value, Instance) else (value.state, value.instance_id)


def _row(change: Change) -> str:
    after = change.after
    if after is None:
        return f"{change.table} {change.key}: gone"
    match change.table:
        case "machines":
            serves, failure = after.instance_id or after.reserved_instance_id, f", {after.failure}" if after.failure else ""
            return f"machine {after.id} ({after.provider_ref}) is {after.state}, for {serves}{failure}"
        case "instances":
            place = f" on {after.machine_id}" if after.machine_id else ""
            return f"instance {after.id} is {after.phase}{place}, generation {after.generation}, revision {after.revision}"
        case "events":
            about = " ".join(filter(None, (after.instance_id, after.machine_id, after.user_id)))
            return f"event {after.name} {about} {json.dumps(dict(after.detail))}"
        case "steps":
            instance_id, step = after
            said = step.error or step.note or ""
            return f"step {step.name} of {instance_id}, generation {step.generation}, attempt {step.attempt}: {said}"
    return f"{change.table} {change.key}: {after}"
