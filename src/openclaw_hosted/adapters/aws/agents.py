"""Which machines take commands. The agent of each is asked for until it has been seen online, and those of all booting machines together.

DescribeInstanceInformation has a small budget for the whole account (API reference of Systems Manager, *Throttling*), so only machines
that are waited for are asked for, once in two seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from openclaw_hosted.adapters.aws.listing import SharedListing
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.ports.clock import Clock

FRESH_SECONDS: Final = 2.0
PAGE: Final = 50


class Agents:
    """The SSM agents of one deployment's machines."""

    def __init__(self, sdk: Sdk, clock: Clock) -> None:
        self._sdk = sdk
        self._online: set[str] = set()
        self._awaited: frozenset[str] = frozenset()
        self._listing = SharedListing(self._look, clock)

    def keep(self, existing: Collection[str]) -> None:
        """What is not in `existing` is forgotten."""
        self._online &= set(existing)

    async def online(self, running: Collection[str]) -> Collection[str]:
        """Which of `running` have been seen to take commands."""
        self._awaited = frozenset(running) - self._online
        if self._awaited:
            self._online |= self._awaited & set(await self._listing.get(FRESH_SECONDS))
        return self._online

    def forget(self, ref: str) -> None:
        """A machine ends."""
        self._online.discard(ref)

    async def _look(self) -> Sequence[str]:
        awaited = sorted(self._awaited)
        return [ref for start in range(0, len(awaited), PAGE) for ref in await self._online_of(awaited[start : start + PAGE])]

    async def _online_of(self, refs: Sequence[str]) -> Sequence[str]:
        wanted = [{"Key": "InstanceIds", "Values": refs}, {"Key": "PingStatus", "Values": ["Online"]}]
        pages = self._sdk.pages(Call.DESCRIBE_AGENTS, Filters=wanted, MaxResults=PAGE)
        return [str(agent["InstanceId"]) async for page in pages for agent in page["InstanceInformationList"]]
