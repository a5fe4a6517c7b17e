"""What an operator gives with a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openclaw_hosted.domain.migration import DAY_SECONDS, ROLLBACK_SECONDS
from openclaw_hosted.domain.window import Window


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """How to find the old system, and how users are moved."""

    mapping: Path
    window: Window | None = None
    soak_seconds: float = 300.0
    rollback_days: float = ROLLBACK_SECONDS / DAY_SECONDS
