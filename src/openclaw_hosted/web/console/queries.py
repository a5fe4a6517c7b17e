"""What the address of a list says: what is looked for, in which order, and which page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.listing import SEARCH_LENGTH, EventSearch, InstanceSearch, MachineSearch, Order, UserSearch
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId

Kind = TypeVar("Kind", bound=StrEnum)
AFTER_LENGTH: Final = 400
ORDER_WORDS: Final[Mapping[Order, str]] = {
    Order.NEWEST: "Newest first",
    Order.OLDEST: "Oldest first",
    Order.CHANGED: "Changed last",
    Order.NAME: "By name",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list's address, taken apart. `given` holds what was asked for, by the form's field names."""

    path: str
    given: Mapping[str, str]

    @property
    def after(self) -> str | None:
        """Where the page begins; None on the first one."""
        return self.given.get("after")

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is looked for."""
        return bool(self.given.keys() - {"after", "order"})

    def get(self, name: str) -> str:
        """What was asked for; empty for nothing."""
        return self.given.get(name, "")

    def page(self, after: str) -> str:
        """The address of another page of the same list."""
        return self._at(self.path, {**self.given, "after": after})

    @property
    def first(self) -> str:
        """The address of the first page."""
        return self._at(self.path, self._whole)

    @property
    def export(self) -> str:
        """The address of all that was found, as a table."""
        return self._at(f"{self.path}.csv", self._whole)

    @property
    def _whole(self) -> Mapping[str, str]:
        return {name: value for name, value in self.given.items() if name != "after"}

    def _at(self, path: str, given: Mapping[str, str]) -> str:
        return f"{path}?{urlencode(given)}" if given else path


def listing_of(request: Request, path: str, *names: str) -> Listing:
    """The address of this request, of which only these fields count. Raises `InvalidInput` for one that is too long."""
    given = {name: value.strip() for name, value in request.query_params.items() if name in (*names, "after", "order") and value.strip()}
    for name, value in given.items():
        if len(value) > (AFTER_LENGTH if name == "after" else SEARCH_LENGTH):
            raise InvalidInput(FieldProblem(name, f"Give at most {SEARCH_LENGTH} characters."))
        if "\0" in value:
            raise InvalidInput(FieldProblem(name, "Leave out what is no text."))
    return Listing(path, given)


def machine_search(listing: Listing) -> MachineSearch:
    """Which machines. Raises `InvalidInput` for what there is not; so do the others."""
    state = listing.get("state")
    states = frozenset(MachineState) if state == "all" else _some(MachineState, "state", state)
    return MachineSearch(listing.get("q"), states, _order(listing, Order.NEWEST))


def instance_search(listing: Listing) -> InstanceSearch:
    """Which instances."""
    owner = listing.get("owner")
    phases = _some(Phase, "state", listing.get("state"))
    return InstanceSearch(listing.get("q"), phases, UserId(owner) if owner else None, _order(listing, Order.NEWEST))


def user_search(listing: Listing) -> UserSearch:
    """Which accounts."""
    roles = _some(Role, "role", listing.get("role"))
    return UserSearch(listing.get("q"), next(iter(roles), None), _order(listing, Order.NAME))


def event_search(listing: Listing) -> EventSearch:
    """Which events. `name` is an event's, or the subject of several (`machine`)."""
    name = listing.get("name")
    names = frozenset(each for each in EventName if each == name or each.startswith(f"{name}.")) if name else frozenset[EventName]()
    if name and not names:
        raise InvalidInput(FieldProblem("name", "There are no such events. Choose one of the list."))
    return EventSearch(
        names,
        InstanceId(listing.get("instance")) if listing.get("instance") else None,
        MachineId(listing.get("machine")) if listing.get("machine") else None,
        UserId(listing.get("user")) if listing.get("user") else None,
        _moment(listing, "since"),
        _moment(listing, "until"),
    )


def _some(kind: type[Kind], name: str, text: str) -> frozenset[Kind]:
    if not text:
        return frozenset()
    try:
        return frozenset(kind(word) for word in text.split(","))
    except ValueError:
        raise InvalidInput(FieldProblem(name, f"Choose among {', '.join(kind)}.")) from None


def _order(listing: Listing, usual: Order) -> Order:
    return next(iter(_some(Order, "order", listing.get("order"))), usual)


def _moment(listing: Listing, name: str) -> float | None:
    text = listing.get(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(FieldProblem(name, "Give a date, or a date and a time, such as 2026-11-30T18:00.")) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
