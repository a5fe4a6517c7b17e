"""What a user ought to know of an instance without looking for it: that it was given up, that its key is refused, that it moved, or that a
newer OpenClaw waits for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.machine import Machine

NEWS_SECONDS: Final = 3 * 86_400.0
"""How long a move is news."""
_MOVES: Final = frozenset({EventName.INSTANCE_MACHINE_LOST, EventName.INSTANCE_MOVING})
_ZONES: Final = frozenset({EventName.INSTANCE_LEAVES_ZONE, EventName.INSTANCE_STAYS_IN_ZONE})


class NewsKind(StrEnum):
    """What became of it."""

    MOVED = "moved"
    MOVED_ZONE = "moved_zone"
    FAILED = "failed"
    KEY_REFUSED = "key_refused"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True)
class News:
    """One thing to be told, at most one for each instance. `at` is seconds since the epoch."""

    instance: Instance
    kind: NewsKind
    at: float
    about: str = ""
    """Of an upgrade, the version of OpenClaw."""

    @property
    def mark(self) -> str:
        """What tells it from all others: eight hexadecimal digits."""
        which = self.about or self.at
        return hashlib.sha256(f"{self.instance.id} {self.kind} {which}".encode()).hexdigest()[:8]

    @property
    def stands(self) -> bool:
        """Whether it is so now, and not just something that happened."""
        return self.kind in (NewsKind.FAILED, NewsKind.KEY_REFUSED, NewsKind.UPGRADE)


def news_of(
    instance: Instance, events: Sequence[Event], now: float, refusal: KeyRefusal | None = None, newer: str | None = None
) -> News | None:
    """What is worth telling of an instance, from its newest events, the newest first. `newer` is the OpenClaw that it gets with its next
    machine, if that is another. An instance that is on its way shows that itself."""
    if instance.desired is DesiredState.DELETED:
        return None
    if instance.phase is Phase.FAILED:
        return News(instance, NewsKind.FAILED, instance.phase_changed_at)
    if instance.phase is not Phase.RUNNING:
        return None
    if refusal is not None:
        return News(instance, NewsKind.KEY_REFUSED, refusal.since)
    moved = _moved(instance, events, now)
    if moved is None and newer is not None:
        return News(instance, NewsKind.UPGRADE, instance.phase_changed_at, newer)
    return moved


def newer_image(machine: Machine | None, image: str) -> str | None:
    """What another machine would run, where this one runs another."""
    return image if machine is not None and image and machine.image != image else None


def _moved(instance: Instance, events: Sequence[Event], now: float) -> News | None:
    settled = [number for number, event in enumerate(events) if event.name is EventName.INSTANCE_RUNNING]
    for begins, ends in pairwise([*settled, len(events)]):
        before, arrived = events[begins + 1 : ends], events[begins].at
        if now - arrived > NEWS_SECONDS:
            return None
        if any(event.name in _MOVES for event in before):
            zone = next((event.name for event in before if event.name in _ZONES), None)
            kind = NewsKind.MOVED_ZONE if zone is EventName.INSTANCE_LEAVES_ZONE else NewsKind.MOVED
            return News(instance, kind, arrived)
    return None
