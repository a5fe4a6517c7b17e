"""News by e-mail, for users who want that: what is worth a letter, and how it is put. In English."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.alarms import OVER_BUDGET, AlarmState
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.news import News, NewsKind

PAUSE_SECONDS: Final = 600.0
"""Between two letters to one user; what happens meanwhile stands in the next one."""
TOLD_KEPT: Final = 100
"""Of the newest marks."""
ITEMS_MOST: Final = 20
"""In one letter."""
SUBJECT_LENGTH: Final = 120
_SUBJECTS: Final[Mapping[NewsKind, str]] = {
    NewsKind.FAILED: "has failed",
    NewsKind.KEY_REFUSED: "needs another API key",
    NewsKind.UPGRADE: "will be upgraded",
    NewsKind.MOVED: "moved to another machine",
    NewsKind.MOVED_ZONE: "moved to another machine",
}

_TEXTS: Final[Mapping[NewsKind, str]] = {
    NewsKind.FAILED: "{name} has failed: {error} Its data is kept.",
    NewsKind.KEY_REFUSED: "The model's provider refuses the API key of {name}, so it can't answer. Give it another key in its settings.",
    NewsKind.UPGRADE: "{name} will be upgraded: it gets OpenClaw {version} when it next moves to another machine. There is no need to act.",
    NewsKind.MOVED: "{name} moved to another machine, and runs there. Its data moved with it.",
    NewsKind.MOVED_ZONE: "{name} moved to another machine in another zone, and runs there. Its data moved with it.",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A user who is told by e-mail, since when, when the last letter went, and the marks of what was told, the newest first."""

    user_id: UserId
    email: str
    since: float
    last_at: float | None = None
    told: tuple[str, ...] = ()

    def rests(self, now: float) -> bool:
        """Whether the last letter is too new for another one."""
        return self.last_at is not None and 0 <= now - self.last_at < PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be told. `mark` tells it from all others."""

    mark: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent. `unsubscribe` is the address of the page where the user turns it off."""

    to: str
    subject: str
    text: str
    unsubscribe: str


def items_of(subscription: Subscription, news: Sequence[News], address: str) -> Sequence[Item]:
    """What of this news its user was not told. What happened before they asked for it is left out, unless it still is so."""
    wanted = [each for each in news if (each.stands or each.at >= subscription.since) and each.mark not in subscription.told]
    return [Item(each.mark, f"{each.instance.name} {_SUBJECTS[each.kind]}", _text(each, address)) for each in wanted]


def budget_item(subscription: Subscription, state: AlarmState | None) -> Sequence[Item]:
    """That the budget is reached, where it is and its user was not told."""
    if state is None or state.name != OVER_BUDGET.name or not state.is_on:
        return ()
    mark = hashlib.sha256(f"budget {state.began_at}".encode()).hexdigest()[:8]
    text = "The platform's budget for a month is reached, so nobody can create an instance just now. Yours run on."
    return () if mark in subscription.told else [Item(mark, "The platform's budget is reached", text)]


def _text(news: News, address: str) -> str:
    instance = news.instance
    said = _TEXTS[news.kind].format(
        name=f"{instance.name} ({instance.id})", error=instance.last_error or "OpenClaw did not start.", version=news.about
    )
    page = f"{address}/instances/{instance.id}"
    return f"{_flat(said)}\n{page}/settings" if news.kind is NewsKind.KEY_REFUSED else f"{_flat(said)}\n{page}"


def letter_of(subscription: Subscription, items: Sequence[Item], address: str) -> Letter:
    """One letter with all of them. `address` is the platform's."""
    shown = items[:ITEMS_MOST]
    more = f"\n\nAnd {len(items) - len(shown)} more: {address}/" if len(items) > len(shown) else ""
    account = f"{address}/account#news"
    subject = shown[0].subject if len(items) == 1 else f"{shown[0].subject}, and {len(items) - 1} more"
    hint = f"You get this because you turned on news by e-mail. To turn it off: {account}"
    body = "\n\n".join(each.text for each in shown)
    return Letter(subscription.email, _flat(subject)[:SUBJECT_LENGTH], f"{body}{more}\n\n-- \n{hint}\n", account)


def _flat(text: str) -> str:
    """On one line: nothing that somebody wrote makes a header of a message, or a paragraph."""
    return " ".join(text.split())
