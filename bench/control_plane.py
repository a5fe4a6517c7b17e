"""What the control plane costs while nothing happens: memory and CPU of `openclaw-hosted serve`, everything wired, no machines.

    make bench-control-plane        # or: python -m bench.control_plane --json FILE

It is the real thing, with the local provider and the edge, after its pages were visited. Memory is the proportional share (PSS).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from bench.claim import signed_in
from bench.harness import cost_of, parser, publish, say
from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from tests.support.platform import RunningPlatform, share_install, wait_until
from tests.support.ports import free_port

PAGES = ("/", "/instances/new", "/account", "/admin", "/admin/instances", "/admin/users", "/admin/events")
TARGET_MB = 150


def measure(data_dir: Path, idle_seconds: float) -> dict[str, Any]:
    """Start it, use it a little, let it idle, and look."""
    share_install(data_dir)
    platform = RunningPlatform(data_dir, free_port(), {"POOL_SPARE_COUNT": "0"})
    try:
        platform.process = process = platform.launch("serve")
        wait_until(platform.is_answering, 240, lambda: platform.output)
        visit(platform)
        before = cost_of(process.pid)
        say(f"idle for {idle_seconds:.0f} s")
        time.sleep(idle_seconds)
        after = cost_of(process.pid)
        edge = LocalEdge(data_dir, "127.0.0.1", platform.port, platform.url).status()
        others = {
            name: cost_of(status.child_pid, status.supervisor_pid)
            for name, status in edge.items()
            if status.child_pid and status.supervisor_pid
        }
        return {
            "control_plane_pss_mb": after.pss_mb,
            "control_plane_rss_mb": after.rss_mb,
            "control_plane_cpu_percent": (after.cpu_seconds - before.cpu_seconds) / idle_seconds * 100,
            **{f"{name}_pss_mb": cost.pss_mb for name, cost in others.items()},
            "target_mb": TARGET_MB,
        }
    finally:
        platform.down()


def visit(platform: RunningPlatform) -> None:
    """Look at each page and at the API, so that what loads lazily is loaded."""
    browser = signed_in(platform)
    for page in PAGES:
        browser.get(page).raise_for_status()
    browser.close()
    httpx.get(f"{platform.url}/api/v1/openapi.json", timeout=30).raise_for_status()
    with platform.api() as api:
        api.get("/instances").raise_for_status()


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    return [
        ("while nothing happens", "figure", "target"),
        ("control plane, memory (PSS)", f"{result['control_plane_pss_mb']:.0f} MB", f"{TARGET_MB} MB"),
        ("control plane, memory (RSS)", f"{result['control_plane_rss_mb']:.0f} MB", ""),
        ("control plane, CPU", f"{result['control_plane_cpu_percent']:.1f} %", ""),
        ("Caddy with its supervisor (PSS)", f"{result['caddy_pss_mb']:.0f} MB", ""),
        ("companion with its supervisor (PSS)", f"{result['companion_pss_mb']:.0f} MB", ""),
    ]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--idle", type=float, default=20.0, help="seconds without any request before the look")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        result = measure(Path(folder), given.idle)
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
