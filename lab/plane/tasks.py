"""What stands behind the emulated ECS: whoever starts and ends the containers of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Task(Protocol):
    """One that runs, at an address of this computer."""

    @property
    def address(self) -> str:
        """IPv4."""
        ...

    @property
    def port(self) -> int:
        """Where its container listens."""
        ...

    def end(self) -> None:
        """Tell it to end, and return once it has."""
        ...


class Tasks(Protocol):
    """Starts tasks. Calls come from threads of the emulated API, and may block."""

    def start(self, service: str, volumes: Sequence[dict[str, Any]]) -> Task:
        """Run a service's task, with the volumes of its task definition. Returns once it answers."""
        ...
