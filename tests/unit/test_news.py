"""What a user is told of an instance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import DesiredState, Phase
from openclaw_hosted.domain.news import NEWS_SECONDS, NewsKind, news_of
from tests.unit.test_lifecycle import an_instance

RUNNING = replace(an_instance(Phase.PLACING), phase=Phase.RUNNING)
CREATED, RAN = EventName.INSTANCE_CREATED, EventName.INSTANCE_RUNNING
LOST, MOVING, LEAVES = EventName.INSTANCE_MACHINE_LOST, EventName.INSTANCE_MOVING, EventName.INSTANCE_LEAVES_ZONE


def newest_first(*names: EventName) -> list[Event]:
    """One each ten seconds, given in their order."""
    return [Event(name, 10.0 * number) for number, name in enumerate(names)][::-1]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ((), None),
        ((CREATED,), None),
        ((CREATED, RAN), None),
        ((CREATED, LOST, RAN), NewsKind.MOVED),
        ((CREATED, RAN, MOVING, RAN), NewsKind.MOVED),
        ((CREATED, RAN, MOVING, RAN, EventName.INSTANCE_RESTART_ASKED, RAN), NewsKind.MOVED),
        ((CREATED, RAN, LOST, LEAVES, RAN), NewsKind.MOVED_ZONE),
        ((CREATED, RAN, LOST, LEAVES, EventName.INSTANCE_STAYS_IN_ZONE, RAN), NewsKind.MOVED),
        ((CREATED, RAN, MOVING), None),
    ],
)
def test_a_move_is_told_once_the_instance_runs_again(names: tuple[EventName, ...], kind: NewsKind | None) -> None:
    found = news_of(RUNNING, newest_first(*names), 100.0)
    assert (found.kind if found else None) is kind


def test_an_old_move_is_no_news() -> None:
    events = newest_first(CREATED, RAN, LOST, RAN)
    assert news_of(RUNNING, events, 30.0 + NEWS_SECONDS) is not None
    assert news_of(RUNNING, events, 31.0 + NEWS_SECONDS) is None


def test_a_failure_is_news_for_as_long_as_it_lasts_but_not_where_it_is_deleted() -> None:
    failed = replace(RUNNING, phase=Phase.FAILED, phase_changed_at=5.0)
    found = news_of(failed, (), 1e9)
    assert found is not None
    assert (found.kind, found.at) == (NewsKind.FAILED, 5.0)
    assert news_of(replace(failed, desired=DesiredState.DELETED), (), 6.0) is None
    again = news_of(replace(failed, phase_changed_at=7.0), (), 1e9)
    assert again is not None
    assert again.mark != found.mark
