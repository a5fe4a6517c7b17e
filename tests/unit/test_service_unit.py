"""The unit that systemd gets."""

from __future__ import annotations

from pathlib import Path

from openclaw_hosted.systemd import Service
from tests.support.systemd import SYSTEM, lines_of


def test_the_unit_keeps_gateways_alive_and_comes_back() -> None:
    said = lines_of(SYSTEM.unit)
    assert (said["KillMode"], said["Restart"], said["OOMPolicy"]) == ("process", "always", "continue")
    assert said["After"] == "network-online.target docker.service"
    assert said["ExecStart"] == "/usr/bin/python3 -m openclaw_hosted serve --data-dir /var/lib/openclaw-hosted"
    assert said["User"] == "openclaw-hosted"
    assert (said["ProtectSystem"], said["ReadWritePaths"], said["NoNewPrivileges"]) == ("strict", "/var/lib/openclaw-hosted", "yes")
    assert said["CapabilityBoundingSet"] == ""
    assert "PrivateTmp" not in said
    assert "outlive" in SYSTEM.unit


def test_a_low_port_and_docker_are_given_only_where_asked_for() -> None:
    assert "SupplementaryGroups" not in lines_of(SYSTEM.unit)
    asked = Service(SYSTEM.python, SYSTEM.data_dir, SYSTEM.environment, "openclaw-hosted", docker=True, low_port=True)
    said = lines_of(asked.unit)
    assert said["SupplementaryGroups"] == "docker"
    assert said["AmbientCapabilities"] == said["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"


def test_a_users_own_unit_asks_for_nothing_that_needs_root() -> None:
    said = lines_of(Service(SYSTEM.python, Path("/home/u/my data"), Path("/home/u/env")).unit)
    assert said["WantedBy"] == "default.target"
    assert not {"User", "ProtectSystem", "CapabilityBoundingSet", "AmbientCapabilities"} & said.keys()
    assert said["ExecStart"].endswith('--data-dir "/home/u/my data"')
