"""The contract of `Notices`."""

from __future__ import annotations

from typing import Protocol

from openclaw_hosted.domain.notice import Notice, NoticeKind
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.notices import Delivery, Notices
from tests.contract.provider.harness import ProviderHarness, launch_spec, launched


class NoticesHarness(ProviderHarness, Protocol):
    """A provider that can be told to give notice."""

    @property
    def notices(self) -> Notices: ...

    @property
    def clock(self) -> Clock: ...

    async def interrupt(self, provider_ref: str) -> None:
        """Say that a machine is taken away."""
        ...

    async def recommend(self, provider_ref: str) -> None:
        """Say that a machine had better be left."""
        ...

    async def put_nonsense(self) -> None:
        """Put messages there that nobody can read."""
        ...

    async def come_again(self, receipts: list[str]) -> None:
        """Let the time pass after which these come again."""
        ...


async def received(harness: NoticesHarness, kind: NoticeKind) -> tuple[Delivery, Notice, list[Delivery]]:
    """The first delivery of this kind, and all that came with it or before."""
    found: list[Delivery] = []
    for _ in range(20):
        found += await harness.notices.receive()
        for delivery in found:
            if delivery.notice is not None and delivery.notice.kind is kind:
                return delivery, delivery.notice, found
    raise AssertionError(f"no {kind} came")


class NoticesContract:
    async def test_a_notice_comes_again_until_it_is_confirmed(self, harness: NoticesHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await harness.interrupt(ref)
        first, notice, all_of_them = await received(harness, NoticeKind.INTERRUPTION)
        assert notice.provider_ref == ref
        assert notice.at <= harness.clock.now()
        await harness.come_again([delivery.receipt for delivery in all_of_them])
        again, same, more = await received(harness, NoticeKind.INTERRUPTION)
        assert (same.provider_ref, same.at) == (ref, notice.at)
        receipts = [delivery.receipt for delivery in (*all_of_them, *more)]
        for _ in range(2):
            await harness.notices.confirm([first.receipt, again.receipt, *receipts])
        await harness.come_again([])
        assert not [each for each in await harness.notices.receive() if each.notice == notice]

    async def test_a_recommendation_is_a_notice_of_its_own_kind(self, harness: NoticesHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await harness.recommend(ref)
        _, notice, _ = await received(harness, NoticeKind.REBALANCE)
        assert (notice.provider_ref, notice.kind) == (ref, NoticeKind.REBALANCE)

    async def test_what_nobody_can_read_says_nothing_and_can_be_confirmed(self, harness: NoticesHarness) -> None:
        await harness.put_nonsense()
        for _ in range(20):
            unread = [each.receipt for each in await harness.notices.receive() if each.notice is None]
            if unread:
                await harness.notices.confirm(unread)
                return
        raise AssertionError("nothing came")
