"""What stands behind the emulated ECS: whoever starts and ends the containers of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a file system of EFS."""

    file_system: str
    path: str
    """From its root, such as `/users/user-1`."""


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """What a service's task is to be, as its task definition says."""

    service: str
    port: int
    """Where its container is to listen."""
    memory_mib: int
    mounts: Mapping[str, Folder]
    """By the path in the container."""
    environment: Mapping[str, str] = field(repr=False)
    """Plain variables, and those that Secrets Manager holds."""


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

    def runs(self) -> bool:
        """Whether it has not ended."""
        ...

    def end(self) -> None:
        """Tell it to end, and return once it has. Does nothing where it has ended."""
        ...


class Tasks(Protocol):
    """Starts tasks. Calls come from threads of the emulated API, and may block."""

    def start(self, order: TaskOrder) -> Task:
        """Run a service's task. Returns once it runs, as far as whoever starts it looks."""
        ...
