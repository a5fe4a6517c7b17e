"""What becomes of orphans: doubt never deletes."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.orphan import MOST_AT_ONCE, Found, Orphan, OrphanPlan, OrphanState, plan_orphans

NOW, WEEK = 1_000_000.0, 7 * 86_400.0
ROUTE, VOLUME = Found("oc-a", holds_data=False), Found("oc-a", holds_data=True)


def test_what_holds_no_data_goes_and_what_may_hold_some_is_kept() -> None:
    plan = plan_orphans({"route oc-a": ROUTE, "volume vol-a": VOLUME}, [], [], 100, NOW, WEEK)
    assert plan == OrphanPlan(frozenset({"route oc-a"}), (Orphan("volume vol-a", NOW, OrphanState.QUARANTINED),), frozenset())


@pytest.mark.parametrize(("age", "removed"), [(0.0, False), (WEEK - 1, False), (WEEK, True), (-5.0, True)])
def test_a_quarantine_ends(age: float, removed: bool) -> None:
    known = [Orphan("volume vol-a", NOW - age, OrphanState.QUARANTINED)]
    assert plan_orphans({"volume vol-a": VOLUME}, known, [], 100, NOW, WEEK).remove == (
        frozenset({"volume vol-a"}) if removed else frozenset()
    )


def test_too_many_at_once_are_held_back_for_ever_and_only_an_operator_has_them_removed() -> None:
    due = {f"machine i-{number}": Found(f"mc-{number}", holds_data=False) for number in range(MOST_AT_ONCE + 1)}
    first = plan_orphans(due, [], [], 20, NOW, WEEK)
    assert first.remove == frozenset()
    assert {orphan.state for orphan in first.keep} == {OrphanState.HELD_BACK}
    later = plan_orphans(due, first.keep, [], 20, NOW + 100 * WEEK, WEEK)
    assert later == OrphanPlan(frozenset(), (), frozenset())
    released = [Orphan("machine i-0", NOW, OrphanState.RELEASED), *first.keep[1:]]
    assert plan_orphans(due, released, [], 20, NOW, WEEK).remove == {"machine i-0"}


def test_a_few_of_very_many_are_not_too_many() -> None:
    due = {f"machine i-{number}": Found(f"mc-{number}", holds_data=False) for number in range(MOST_AT_ONCE + 1)}
    assert plan_orphans(due, [], [], 1000, NOW, WEEK).remove == due.keys()


def test_all_that_is_of_one_instance_counts_once() -> None:
    due = {f"{kind} oc-a": ROUTE for kind in ("route", "target", "machine", "secret", "volume")}
    assert plan_orphans(due, [], [], 10, NOW, WEEK).remove == due.keys()


def test_what_has_a_row_again_or_is_gone_is_forgotten_and_what_is_young_is_not() -> None:
    known = [Orphan("volume vol-a", NOW, OrphanState.QUARANTINED), Orphan("volume vol-b", NOW, OrphanState.HELD_BACK)]
    assert plan_orphans({}, known, ["volume vol-b"], 10, NOW, WEEK).forget == {"volume vol-a"}
