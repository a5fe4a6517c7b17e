"""From symptoms to causes: each cause has a symptom that leads to it, and the root is named before what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openclaw_hosted.domain.causes import ADVICE, LikelyCause
from openclaw_hosted.domain.diagnosis import (
    Diagnosis,
    Facts,
    GatewaySeen,
    MachineSeen,
    Outcome,
    PoolSeen,
    RouteSeen,
    Step,
    Unknown,
    diagnose,
)
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.domain.pool import PoolStatus

NOW = 1_790_000_000.0
ID = InstanceId("oc-22222222")
MACHINE = Machine(
    MachineId("mc-22222222"), MachineState.ASSIGNED, ID, VolumeId("vol-22222222"), "v1", Warmth.HOT, NOW - 900, NOW - 900, ID,
    provider_ref="i-1", address="10.0.0.1:8080",
)  # fmt: skip
INSTANCE = Instance(ID, UserId("us-a"), "Mine", DesiredState.RUNNING, Phase.RUNNING, NOW - 900, NOW - 900, machine_id=MACHINE.id)
GATEWAY = GatewaySeen(running=True, ready=True, serves=ID, started_at=NOW - 800)
WELL = Facts(
    NOW, INSTANCE, MACHINE, PoolSeen(PoolStatus.READY), store_clock=NOW + 1, provider=MachineSeen("up", NOW - 900), gateway=GATEWAY,
    log=["2026-09-21 13:00:00 INFO [gateway] ready"], route=RouteSeen(MACHINE.id), resolves=True, probe=None,
)  # fmt: skip
HANGING = replace(GATEWAY, ready=False, serves=None)
WITHOUT_MACHINE: dict[str, Any] = {
    "instance": replace(INSTANCE, machine_id=None, phase=Phase.PENDING), "machine": None, "provider": Unknown("none"),
    "gateway": Unknown("none"), "log": Unknown("none"), "route": Unknown("none"), "probe": Unknown("none"),
}  # fmt: skip


def seen(**facts: Any) -> Diagnosis:
    return diagnose(ID, replace(WELL, **facts))


def ended(code: int | None, problem: str | None = None) -> GatewaySeen:
    return replace(GATEWAY, running=False, ready=False, serves=None, exit_code=code, problem=problem)


SYMPTOMS: dict[LikelyCause, dict[str, Any]] = {
    LikelyCause.DELETED: {"instance": replace(INSTANCE, phase=Phase.DELETED, machine_id=None), "machine": None},
    LikelyCause.POOL_PAUSED: {**WITHOUT_MACHINE, "pool": PoolSeen(PoolStatus.PAUSED)},
    LikelyCause.NO_CAPACITY: {**WITHOUT_MACHINE, "pool": PoolSeen(PoolStatus.NO_CAPACITY, "no t3.small in us-west-2a")},
    LikelyCause.FLEET_CAP: {**WITHOUT_MACHINE, "pool": PoolSeen(PoolStatus.AT_CAP)},
    LikelyCause.LAUNCHES_FAIL: {**WITHOUT_MACHINE, "pool": PoolSeen(PoolStatus.FAILING, "no such image")},
    LikelyCause.WAITS_FOR_MACHINE: {**WITHOUT_MACHINE, "pool": PoolSeen(PoolStatus.FILLING)},
    LikelyCause.CLOCK_WRONG: {"store_clock": NOW - 600},
    LikelyCause.MACHINE_GONE: {"provider": MachineSeen(None), "gateway": Unknown("no answer"), "probe": "502"},
    LikelyCause.MACHINE_STOPPED: {"provider": MachineSeen("shutting_down"), "gateway": Unknown("no answer"), "probe": "502"},
    LikelyCause.MACHINE_BOOTING: {"provider": MachineSeen("booting"), "gateway": Unknown("no answer"), "probe": "502"},
    LikelyCause.DISK_FULL: {"gateway": ended(1, "ENOSPC: no space left on device, write"), "probe": "502"},
    LikelyCause.SETTINGS_REFUSED: {"gateway": ended(78, "models.providers.openai: not a provider"), "probe": "502"},
    LikelyCause.OUT_OF_MEMORY: {"gateway": ended(137), "probe": "502"},
    LikelyCause.GATEWAY_ENDED: {"gateway": ended(1, "it threw"), "probe": "502"},
    LikelyCause.GATEWAY_HANGS: {"gateway": HANGING, "probe": "504"},
    LikelyCause.GATEWAY_STARTING: {"gateway": replace(HANGING, started_at=NOW - 3), "probe": "502"},
    LikelyCause.WRONG_GATEWAY: {"gateway": replace(GATEWAY, serves="oc-33333333")},
    LikelyCause.ROUTE_MISSING: {"route": RouteSeen(None), "probe": "404"},
    LikelyCause.ROUTE_ELSEWHERE: {"route": RouteSeen(MachineId("mc-33333333")), "probe": "another answers"},
    LikelyCause.NAME_UNKNOWN: {"resolves": False, "probe": "no such name"},
    LikelyCause.TARGET_UNREACHED: {"probe": "503 from the load balancer"},
    LikelyCause.KEY_REFUSED: {"log": ["2026-09-21 14:05:00 ERROR [agent] 401 Incorrect API key provided: ●●●"]},
}


def test_every_cause_has_a_symptom_here_and_advice() -> None:
    assert set(SYMPTOMS) == set(LikelyCause) == set(ADVICE)


@pytest.mark.parametrize("cause", list(LikelyCause), ids=str)
def test_a_symptom_leads_to_its_cause(cause: LikelyCause) -> None:
    found = seen(**SYMPTOMS[cause])
    assert (found.cause, found.advice) == (cause, ADVICE[cause])
    assert [finding.step for finding in found.findings] == list(Step)


def test_where_nothing_is_wrong_no_cause_is_named() -> None:
    found = seen()
    assert (found.cause, found.advice, found.state) == (None, None, "running")
    assert {finding.outcome for finding in found.findings} == {Outcome.OK}


def test_what_could_not_be_seen_is_skipped_and_never_a_fault() -> None:
    unknown = Unknown("the provider does not answer")
    names = ("store_clock", "provider", "gateway", "log", "crowded", "route", "resolves", "probe")
    found = seen(**dict.fromkeys(names, unknown))
    assert found.cause is None
    skipped = {finding.step for finding in found.findings if finding.outcome is Outcome.SKIPPED}
    assert skipped == set(Step) - {Step.CAPACITY}


def test_a_spare_has_no_address_and_no_key() -> None:
    found = seen(instance=None, machine=replace(MACHINE, state=MachineState.AVAILABLE, instance_id=None))
    assert (found.cause, found.state) == (None, "available")
    assert {finding.step for finding in found.findings if finding.outcome is Outcome.SKIPPED} == {Step.ROUTE, Step.TARGET, Step.KEY}


def test_a_word_from_before_the_last_change_says_nothing_of_now() -> None:
    old = ["2026-09-21 13:50:00 ERROR 401 Incorrect API key provided"]
    assert seen(log=old, instance=replace(INSTANCE, phase_changed_at=NOW - 2400)).cause is LikelyCause.KEY_REFUSED
    assert seen(log=old).cause is None


def test_nothing_but_the_telling_words_of_a_log_is_shown() -> None:
    found = seen(log=["2026-09-21 14:05:00 ERROR invalid_api_key while answering 'my secret plan'"])
    assert "secret plan" not in repr(found)


def test_an_instance_that_was_given_up_says_why() -> None:
    found = seen(instance=replace(INSTANCE, phase=Phase.FAILED, last_error="refused"), gateway=ended(78))
    assert (found.state, found.cause) == ("failed: refused", LikelyCause.SETTINGS_REFUSED)
