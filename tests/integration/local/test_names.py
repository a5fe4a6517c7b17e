"""What the platform's plugin calls the owner in OpenClaw's page."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR

PLAY = f"""
import {{ introduce }} from "{PLUGIN_DIR}/names.js";
const [names, answers] = JSON.parse(process.argv[1]), asked = [];
await introduce(names, async (method, params) => {{
  asked.push([method, params]);
  if (!(method in answers)) throw new Error("refused");
  return answers[method];
}});
console.log(JSON.stringify(asked));
"""
LOOKS = ("users.list",)


def changes_after(answers: dict[str, object]) -> dict[str, Any]:
    """What is changed in a gateway that answers so."""
    command = (str(NODE_DIR / "bin" / "node"), "--input-type=module", "--eval", PLAY, "--", json.dumps([{"owner": "ada"}, answers]))
    asked = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {method: params for method, params in asked if method not in LOOKS}


def gateway(display_name: str | None) -> dict[str, object]:
    profiles = [{"id": "someone", "displayName": None}, {"id": "gateway-owner", "displayName": display_name}]
    return {"users.list": {"profiles": profiles}, "users.setDisplayName": {}}


def test_an_owner_without_a_name_in_openclaw_is_called_as_on_the_platform() -> None:
    """And nothing else is changed: a turn that begins while OpenClaw takes up another configuration fails."""
    assert changes_after(gateway(None)) == {"users.setDisplayName": {"profileId": "gateway-owner", "displayName": "ada"}}


def test_a_name_that_was_given_in_openclaw_stays() -> None:
    assert changes_after(gateway("Ada")) == {}


def test_what_is_refused_keeps_nobody_out() -> None:
    assert changes_after({}) == {}
