"""A platform in the full lab, started by its command."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.platform import RunningPlatform


@dataclass
class LabPlatform(RunningPlatform):
    """A platform whose users come by the lab's load balancer."""

    address: str = ""

    @property
    def url(self) -> str:
        return self.address
