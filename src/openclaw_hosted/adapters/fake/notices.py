"""Fake notices."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.ports.notices import Delivery

MOST_AT_ONCE = 10


class FakeNotices:
    """`Notices` in memory: `FakeCloud.give_notice` puts them there."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def receive(self) -> Sequence[Delivery]:
        async with self._cloud.call("notices.receive"):
            return [Delivery(receipt, notice) for receipt, notice in self._cloud.notices.items()][:MOST_AT_ONCE]

    async def confirm(self, receipts: Sequence[str]) -> None:
        async with self._cloud.call("notices.confirm"):
            for receipt in receipts:
                self._cloud.notices.pop(receipt, None)
