"""A machine is taken away from the whole platform on one computer, and its instance moves: by the command line, through the edge."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.integration.bad_days.test_bad_days import created, machine_of, reachable, shown, state_of
from tests.integration.bad_days.truth import assert_each_has_one_machine
from tests.support.platform import RunningPlatform, wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow


def test_an_interrupted_machine_hands_on_its_instance_and_a_drained_one_only_after_its_turn(platform: RunningPlatform) -> None:
    platform.start(spares=1)
    with platform.api() as api:
        instance_id = created(api)
        (state_of(platform, instance_id) / "remembered").write_text("zebra")
        wait_until(lambda: api.get("/pool").json()["status"] == "ready", PATIENCE_SECONDS)
        old = machine_of(platform, instance_id).name
        said = platform.cli("machines", "interrupt", old, "--json")
        assert json.loads(said.stdout)["notice"] == "interruption"
        wait_until(lambda: moved(platform, api, instance_id, 2), PATIENCE_SECONDS, lambda: f"{shown(api, instance_id)}\n{platform.output}")
        assert (state_of(platform, instance_id) / "remembered").read_text() == "zebra"
        assert {"clear", "stop"} <= {step["name"] for step in shown(api, instance_id)["steps"] if step["generation"] == 2}
        wait_until(lambda: old not in serving(platform), PATIENCE_SECONDS)

        turn = state_of(platform, instance_id) / "turn"
        turn.touch()
        old = machine_of(platform, instance_id).name
        drained = platform.cli("machines", "drain", old)
        assert "moves once another machine is ready" in drained.stderr
        wait_until(lambda: api.get("/pool").json()["status"] == "ready", PATIENCE_SECONDS)
        assert shown(api, instance_id)["generation"] == 2, "it is at a turn"
        assert reachable(platform, instance_id)
        turn.unlink()
        wait_until(lambda: moved(platform, api, instance_id, 3), PATIENCE_SECONDS, lambda: f"{shown(api, instance_id)}\n{platform.output}")
        wait_until(lambda: old not in serving(platform), PATIENCE_SECONDS)
        assert_each_has_one_machine(platform, api)


def moved(platform: RunningPlatform, api: httpx.Client, instance_id: str, generation: int) -> bool:
    now = shown(api, instance_id)
    return (now["phase"], now["generation"]) == ("running", generation) and reachable(platform, instance_id)


def serving(platform: RunningPlatform) -> set[str]:
    """The machines that are there."""
    return {path.name for path in (platform.data_dir / "machines").iterdir() if path.is_dir() and not path.name.startswith(".")}
