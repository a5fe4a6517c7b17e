"""What an operator looks for in the long lists, and how far a page of one goes."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId

Item = TypeVar("Item")
SEARCH_LENGTH: Final = 100
LARGEST: Final = 2**62
NO_PAGE: Final = InvalidInput(FieldProblem("after", "This page does not exist. Begin with the first one."))


class Order(StrEnum):
    """Which come first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    CHANGED = "changed"
    """Whose state changed last."""
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: the value that it is sorted by, and its id."""

    value: str | float
    id: str

    def encode(self) -> str:
        """For an address."""
        return base64.urlsafe_b64encode(json.dumps([self.value, self.id]).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Position:
        """The inverse. Raises `InvalidInput` for what is none."""
        try:
            value, row_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, TypeError, binascii.Error):
            value = row_id = None
        if not isinstance(value, str | float | int) or not isinstance(row_id, str) or "\0" in f"{value}{row_id}":
            raise NO_PAGE
        return cls(value, row_id)

    @property
    def number(self) -> float:
        """The value, where rows are sorted by a number. Raises `InvalidInput` for another one."""
        if isinstance(self.value, str) or not abs(self.value) < LARGEST:
            raise NO_PAGE
        return self.value


@dataclass(frozen=True, slots=True)
class MachineSearch:
    """Which machines; without a state those that exist. `text` is part of an id, an instance's id, the provider's name or a zone."""

    text: str = ""
    states: frozenset[MachineState] = frozenset()
    order: Order = Order.NEWEST


@dataclass(frozen=True, slots=True)
class InstanceSearch:
    """Which instances; without a phase all but purged ones. `text` is part of an id, a name or an owner's address."""

    text: str = ""
    phases: frozenset[Phase] = frozenset()
    owner: UserId | None = None
    order: Order = Order.NEWEST


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Which accounts. `text` is part of an address."""

    text: str = ""
    role: Role | None = None
    order: Order = Order.NAME


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events, the newest first. `user_id` is whom one is about, or who caused it; times are seconds since the epoch."""

    names: frozenset[EventName] = frozenset()
    instance_id: InstanceId | None = None
    machine_id: MachineId | None = None
    user_id: UserId | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of what was found. `after` is where the next page begins, None on the last one; `total` counts all that was found."""

    items: tuple[Item, ...]
    after: str | None
    total: int | None = None
