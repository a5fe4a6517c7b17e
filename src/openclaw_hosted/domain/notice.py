"""What is said of a machine before it ends, so that its instance moves while it still answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class NoticeKind(StrEnum):
    """What is said."""

    INTERRUPTION = "interruption"
    """The provider takes it away within minutes."""
    REBALANCE = "rebalance"
    """The provider is likely to take it away before others."""
    MAINTENANCE = "maintenance"
    """The provider stops, restarts or retires it at a time that it has named."""
    DRAIN = "drain"
    """An operator wants it empty."""
    ENDED = "ended"
    """It has ended, or is ending, without a notice before."""


PATIENT_KINDS: Final[Sequence[NoticeKind]] = (NoticeKind.REBALANCE, NoticeKind.MAINTENANCE, NoticeKind.DRAIN)
"""Those that leave time: the instance moves once another machine is ready and no turn is under way. The later outweighs the former."""
INTERRUPTION_SECONDS: Final = 120.0
"""From the notice of an interruption until the machine is gone (EC2 User Guide, Spot Instance interruption notices)."""
PATIENCE_SECONDS: Final = 900.0
"""How long an instance that moves without hurry stays where it is, at most, once another machine is there for it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. Times are seconds since the epoch."""

    kind: NoticeKind
    provider_ref: str
    """The machine, as the provider calls it. It may be nobody's of ours."""
    at: float
    """When it was given."""

    @property
    def leaves_at(self) -> float:
        """Until when the machine answers, as far as this tells."""
        return self.at + (INTERRUPTION_SECONDS if self.kind is NoticeKind.INTERRUPTION else PATIENCE_SECONDS)
