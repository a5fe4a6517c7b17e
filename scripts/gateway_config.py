"""Writes terraform/gateway-config.json: what the user data has a spare's gateway start with; ec2-per-user.tf fills in the places."""

from __future__ import annotations

import re
from pathlib import Path

from openclaw_hosted.adapters.aws.user_data import render_user_data

TARGET = Path(__file__).resolve().parent.parent / "terraform" / "gateway-config.json"


def gateway_config() -> str:
    """One line of JSON, as the user data has it."""
    found = re.search(r"read -r CONFIG <<'END'\n(.*)\nEND\n", render_user_data("image", ["place-origins"], ["place-proxies"], "deployment"))
    assert found is not None
    return f"{found[1]}\n"


if __name__ == "__main__":
    TARGET.write_text(gateway_config(), encoding="utf-8")
