"""Where metrics are sent, beside those who ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.exposition import Sample


class Exporter(Protocol):
    """Takes all metrics of a moment."""

    def publish(self, samples: Sequence[Sample], at: float) -> None:
        """Send them, without making anybody wait. Those of a moment at which the last ones are still on their way are left out."""
        ...
