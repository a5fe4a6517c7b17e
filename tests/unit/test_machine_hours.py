"""How long machines ran in a month, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.machine_hours import Use, month_of, used
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, volume_of

ADA, BOB = UserId("us-ada"), UserId("us-bob")
OWNERS = {InstanceId("oc-a"): ADA, InstanceId("oc-b"): BOB}
DAY = 86_400.0
NOVEMBER = month_of("2026-11", 0.0)
NOW = NOVEMBER.since + 10 * DAY


def machine(began: float, ended: float | None = None, instance: str | None = None) -> Machine:
    """Days since the month began."""
    own, state = InstanceId("oc-own"), MachineState.ASSIGNED if ended is None else MachineState.TERMINATED
    changed = NOVEMBER.since + DAY * (began if ended is None else ended)
    bound = None if instance is None else InstanceId(instance)
    return Machine(MachineId("m"), state, own, volume_of(own), "v1", Warmth.HOT, NOVEMBER.since + DAY * began, changed, instance_id=bound)


def test_a_month_begins_and_ends_in_utc() -> None:
    assert NOVEMBER.since == datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    assert NOVEMBER.until == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert month_of("2026-12", 0.0).until == datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert month_of(None, NOW).name == "2026-11"


@pytest.mark.parametrize("name", ["2026", "2026-13", "2026-00", "0000-01", "november", "2026-11-01"])
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="2026-11"):
        month_of(name, NOW)


def test_machines_count_as_long_as_they_ran_within_the_month_and_until_now() -> None:
    machines = [
        machine(-5, 2, "oc-a"), machine(1, 3, "oc-a"), machine(8, None, "oc-b"), machine(-9, -1, "oc-b"), machine(9),
        machine(4, 5, "oc-gone"),
    ]  # fmt: skip
    assert list(used(machines, OWNERS, NOVEMBER, NOW)) == [Use(ADA, 2, 4 * DAY), Use(BOB, 1, 2 * DAY), Use(None, 2, 2 * DAY)]


def test_a_month_to_come_has_nothing() -> None:
    assert used([machine(1, None, "oc-a")], OWNERS, month_of("2026-12", NOW), NOW) == []
