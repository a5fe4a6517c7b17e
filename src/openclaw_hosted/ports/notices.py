"""What the provider says of machines before they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.notice import Notice


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message. It comes again, until its receipt is confirmed."""

    receipt: str
    notice: Notice | None
    """None for a message that says nothing of a machine's end, or that nobody of ours wrote."""


class Notices(Protocol):
    """Hands out what was said, at least once, in any order, late or of machines that are nobody's of ours. It promises no more: what is
    never said is seen by liveness."""

    async def receive(self) -> Sequence[Delivery]:
        """Up to ten messages; waits some seconds for the first, where the provider can. Raises nothing over what a message holds."""
        ...

    async def confirm(self, receipts: Sequence[str]) -> None:
        """These need not come again: a row says what follows from them, or nothing does. Does nothing for receipts that are unknown."""
        ...
