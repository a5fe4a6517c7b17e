"""Writes terraform/user-data.sh: the machines' user data, with places that ec2-per-user.tf fills in."""

from __future__ import annotations

from pathlib import Path

from openclaw_hosted.adapters.aws.user_data import render_user_data

TARGET = Path(__file__).resolve().parent.parent / "terraform" / "user-data.sh"


def user_data() -> str:
    return render_user_data("place-image", ["place-origins"], ["place-proxies"], "place-deployment")


if __name__ == "__main__":
    TARGET.write_text(user_data(), encoding="utf-8")
