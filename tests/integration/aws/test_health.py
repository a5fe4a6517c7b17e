"""The lines of the log that tell how each user's container is."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from openclaw_hosted.adapters.aws.health import AGAIN_SECONDS, EVENT, HealthLog, health_of
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.ports.gateways import GatewayStatus
from tests.integration.aws.world import AwsWorld
from tests.integration.web.memory import MemoryClock
from tests.support.seats import seat
from tests.terraform.support import SOURCE

READY, DOWN = GatewayStatus(running=True, ready=True), GatewayStatus(running=False, ready=False)


def test_what_changes_is_told_at_once_and_the_rest_now_and_then() -> None:
    clock = MemoryClock()
    health = HealthLog(clock)
    restarted = GatewayStatus(running=True, ready=True, restarts=1)
    with capture_logs() as said:
        for status in (READY, READY, DOWN, DOWN, restarted):
            health.note(seat("i-1"), status)
        clock.at += AGAIN_SECONDS
        health.note(seat("i-1"), restarted)
        health.note(seat("i-1"), restarted)
    assert [(line["health"], line["restarts"]) for line in said] == [("ready", 0), ("down", 0), ("ready", 1), ("ready", 1)]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (READY, "ready"),
        (DOWN, "down"),
        (GatewayStatus(running=True, ready=False), "starting"),
        (GatewayStatus(running=True, ready=False, stopping=True), "stopping"),
    ],
)
def test_health_is_one_word(status: GatewayStatus, word: str) -> None:
    assert health_of(status) == word


async def test_a_running_instance_has_a_line_with_what_the_dashboard_asks_for(world: AwsWorld) -> None:
    with capture_logs() as said:
        async with world.control_plane() as plane:
            await plane.until_full()
            instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
    lines = [line for line in said if line["event"] == EVENT and line["instance"] == instance.id]
    assert lines[-1]["health"] == "ready"
    query = (SOURCE / "monitoring.tf").read_text(encoding="utf-8")
    assert f"filter event = '{EVENT}'" in query
    for name in ("health", "restarts", "ref"):
        assert f"latest({name})" in query
        assert name in lines[-1]
    assert "by instance" in query
