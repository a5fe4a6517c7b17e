"""Where alarms are kept, and who is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.alarms import AlarmNews, AlarmState
from openclaw_hosted.domain.events import Event


class AlarmStore(Protocol):
    """Remembers how each alarm is, for whoever looks next: a row for each kind."""

    async def list(self) -> Sequence[AlarmState]:
        """Those that were ever looked at, in no order."""
        ...

    async def save(self, states: Sequence[AlarmState], events: Sequence[Event]) -> None:
        """Write these, and what happened, in one transaction."""
        ...


class AlarmChannel(Protocol):
    """Tells people. `name` is unique, short and kept with what was told, such as `email`."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    async def tell(self, news: AlarmNews) -> None:
        """Tell it to all who are to know. Returns once somebody else has taken it over, such as a mail server.

        Raises `Unavailable` where that may succeed later, `Denied` where the operator has to mend something; neither holds a credential.
        """
        ...
