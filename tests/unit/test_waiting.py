"""How long things usually take here."""

from __future__ import annotations

from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.waiting import RECENT, Happening, Waiting, usual_waits

ONE, OTHER = InstanceId("oc-22222222"), InstanceId("oc-33333333")


def test_a_wait_lasts_from_what_was_asked_to_what_came_of_it() -> None:
    happened = [
        (ONE, EventName.INSTANCE_CREATED, 0.0),
        (OTHER, EventName.INSTANCE_CREATED, 1.0),
        (ONE, EventName.INSTANCE_RUNNING, 4.0),
        (OTHER, EventName.INSTANCE_RUNNING, 9.0),
        (ONE, EventName.INSTANCE_RESTART_ASKED, 20.0),
        (ONE, EventName.INSTANCE_RUNNING, 32.0),
        (ONE, EventName.INSTANCE_DELETE_ASKED, 40.0),
        (ONE, EventName.INSTANCE_DELETED, 43.0),
    ]
    assert usual_waits(happened) == {Waiting.CREATE: 6.0, Waiting.RESTART: 12.0, Waiting.DELETE: 3.0}


def test_what_did_not_end_or_begin_within_sight_tells_nothing() -> None:
    happened = [(ONE, EventName.INSTANCE_DELETED, 0.0), (ONE, EventName.RESTORE_POINT_ASKED, 1.0), (OTHER, EventName.INSTANCE_RUNNING, 5.0)]
    assert usual_waits(happened) == {}


def test_asking_twice_is_one_wait() -> None:
    asked = [(ONE, EventName.INSTANCE_CHANGED, at) for at in (0.0, 5.0)]
    assert usual_waits([*asked, (ONE, EventName.INSTANCE_RUNNING, 6.0)]) == {Waiting.CHANGE: 6.0}


def test_only_the_newest_waits_count() -> None:
    happened: list[Happening] = []
    for number, seconds in enumerate([500.0] * 40 + [8.0] * RECENT):
        start = number * 1000.0
        happened += [(ONE, EventName.INSTANCE_RESTART_ASKED, start), (ONE, EventName.INSTANCE_RUNNING, start + seconds)]
    assert usual_waits(happened) == {Waiting.RESTART: 8.0}
