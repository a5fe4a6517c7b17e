"""When the platform's plugin says that a model says nothing."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR

CALL = {"runId": "r", "sessionKey": "agent:main:main", "provider": "custom", "model": "llama3"}
DELTA = {"runId": "r", "stream": "assistant", "data": {"delta": "a word"}}
OWN = {"itemId": "oc-hosted-silence"}
PLAY = f"""
import {{ mock }} from "node:test";
import {{ Silence }} from "{PLUGIN_DIR}/silence.js";
mock.timers.enable({{ apis: ["setTimeout"] }});
const said = [], silence = new Silence((event) => said.push(event));
for (const [what, given] of JSON.parse(process.argv[1])) {{
  if (what === "pass") mock.timers.tick(given * 1000);
  else silence[what](given);
}}
console.log(JSON.stringify(said));
"""


def said_after(*steps: tuple[str, object]) -> list[dict[str, Any]]:
    """What is told after these steps, in a time of Node.js's own: `pass` is seconds that go by."""
    command = (str(NODE_DIR / "bin" / "node"), "--input-type=module", "--eval", PLAY, "--", json.dumps(steps))
    told: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return told


def test_a_model_that_says_nothing_is_told_once_and_within_half_a_minute() -> None:
    (event,) = said_after(("calling", CALL), ("pass", 29), ("heard", {"runId": "r", "stream": "item", "data": OWN}), ("pass", 300))
    assert (event["runId"], event["sessionKey"]) == ("r", "agent:main:main")
    assert "custom/llama3 has said nothing" in event["data"]["progressText"]


def test_a_model_that_speaks_or_has_ended_is_not_told() -> None:
    speaking = [("pass", 20), ("heard", DELTA)] * 5
    assert said_after(("calling", CALL), *speaking, ("over", CALL), ("pass", 300)) == []
    assert said_after(("calling", CALL), ("heard", {**DELTA, "stream": "lifecycle"}), ("pass", 300)) == []


@pytest.mark.parametrize("end", [("heard", {"runId": "r", "stream": "assistant"}), ("over", CALL)])
def test_what_was_told_is_taken_away_once_the_model_speaks_or_has_ended(end: tuple[str, object]) -> None:
    told, taken_away = said_after(("calling", CALL), ("pass", 29), end)
    assert told["data"]["itemId"] == taken_away["data"]["itemId"]
    assert taken_away["data"]["progressText"] == ""


def test_a_model_that_falls_silent_in_the_middle_is_told_and_so_is_the_next_call() -> None:
    silent = (("calling", CALL), ("pass", 20), ("heard", DELTA), ("pass", 29), ("over", CALL))
    assert [bool(event["data"]["progressText"]) for event in said_after(*silent, *silent)] == [True, False, True, False]


def test_turns_do_not_wait_for_each_other() -> None:
    other = {**CALL, "runId": "other"}
    (event,) = said_after(("calling", CALL), ("calling", other), ("pass", 20), ("heard", other), ("pass", 10))
    assert event["runId"] == "r"
