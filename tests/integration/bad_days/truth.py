"""What exists on a data directory, told by the provider's own files and not by the platform."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.platform import RunningPlatform


@dataclass(frozen=True)
class Truth:
    """Machines that exist with whom they serve, and who has which volume."""

    serving: dict[str, str]
    attached: dict[str, str]


def look(platform: RunningPlatform) -> Truth:
    """What the provider has now."""
    serving, attached = {}, {}
    for path in (platform.data_dir / "machines").glob("mc-*"):
        record = path / "gateway.json"
        serving[path.name] = json.loads(record.read_text())["instance_id"] if record.exists() else ""
    for path in (platform.data_dir / "volumes").glob("[!.]*"):
        holder = path / "attached-to"
        attached[path.name] = holder.read_text() if holder.exists() else ""
    return Truth(serving, attached)


def instances(api: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/instances").json()["items"]
    return found


def all_running(api: httpx.Client, count: int) -> bool:
    found = instances(api)
    return len(found) == count and all(instance["phase"] == "running" for instance in found)


def assert_each_has_one_machine(platform: RunningPlatform, api: httpx.Client) -> None:
    """No machine serves two, no instance has two machines, and each has its own volume."""
    truth = look(platform)
    served = Counter(truth.serving.values())
    found = instances(api)
    for instance in found:
        assert served[instance["id"]] == 1, (instance, truth)
    machines = {machine: served_id for machine, served_id in truth.serving.items() if served_id in {i["id"] for i in found}}
    assert len(machines) == len(found)
    for machine in machines:
        assert list(truth.attached.values()).count(machine) == 1, truth


def is_empty_but_for_spares(platform: RunningPlatform, api: httpx.Client) -> bool:
    """Whether nothing is left but what the pool keeps."""
    pool = api.get("/pool").json()
    truth = look(platform)
    return bool(pool["status"] == "ready" and len(truth.serving) == pool["available"])
