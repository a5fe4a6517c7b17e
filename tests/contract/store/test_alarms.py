"""`AlarmStore`."""

from __future__ import annotations

from dataclasses import replace

from openclaw_hosted.domain.alarms import AlarmState, Told
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.store import Store
from tests.support.life import NOW


async def test_how_an_alarm_is_outlives_who_judged_it(store: Store, replica: Store) -> None:
    assert list(await store.alarms.list()) == []
    states = [AlarmState("a", NOW, None, NOW + 1, None, 2.5, "oc-a, ü", {"email": Told.BEGAN}), AlarmState("b", well_since=NOW)]
    began = Event(EventName.ALARM_BEGAN, NOW, detail={"alarm": "a", "value": 2.5})
    await store.alarms.save(states, [began])
    assert sorted(await replica.alarms.list(), key=lambda state: state.name) == states
    (event,) = await replica.platform.events()
    assert (event.name, event.detail) == (EventName.ALARM_BEGAN, {"alarm": "a", "value": 2.5})
    ended = replace(states[0], ended_at=NOW + 9, told={"email": Told.ENDED, "telegram": Told.BEGAN})
    await replica.alarms.save([ended], ())
    assert sorted(await store.alarms.list(), key=lambda state: state.name) == [ended, states[1]]
    await store.alarms.save([], ())
    assert len(await store.platform.events()) == 1
