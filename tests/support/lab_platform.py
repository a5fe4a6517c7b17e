"""A platform in the full lab, started by its command."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from tests.support.platform import RunningPlatform


@dataclass
class LabPlatform(RunningPlatform):
    """A platform whose users come by the lab's load balancer."""

    address: str = ""

    @property
    def url(self) -> str:
        return self.address

    def is_answering(self) -> bool:
        assert self.process is None or self.process.poll() is None, self.output
        try:
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False
