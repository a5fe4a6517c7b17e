"""Who asks when no spare is left: how long a start takes alone, and when others start at the same time.

    make bench-starts               # or: python -m bench.starts --rounds 3 --json

One platform with the real OpenClaw. `alone`: one create, no spares, nothing else starts. `third`: two spares, three creates at once:
two of them take the spares, the third waits for a machine of its own, while the pool makes two new spares beside it. Measured
from sending POST until the instance runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from bench.claim import poll
from bench.harness import say
from tests.support.platform import running_platform

SPARES: Final = 2


def waits(api: httpx.Client, creates: int) -> list[float]:
    """Seconds until each of so many creates at once runs, the quickest first; all are deleted again."""
    began = time.perf_counter()
    ids = [_created(api) for _ in range(creates)]
    seconds: dict[str, float] = {}

    def all_run() -> bool:
        for instance_id in ids:
            if instance_id not in seconds and api.get(f"/instances/{instance_id}").json()["phase"] == "running":
                seconds[instance_id] = time.perf_counter() - began
        return len(seconds) == len(ids)

    poll(all_run, every=0.05)
    for instance_id in ids:
        api.delete(f"/instances/{instance_id}").raise_for_status()
    poll(lambda: all(api.get(f"/instances/{each}").json()["phase"] == "deleted" for each in ids), every=0.2)
    return sorted(seconds.values())


def _created(api: httpx.Client) -> str:
    answer = api.post("/instances", json={"name": "bench"})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _set_spares(api: httpx.Client, spares: int) -> None:
    api.patch("/pool", json={"spares": spares}).raise_for_status()
    poll(lambda: api.get("/pool").json()["available"] == spares, every=0.5)


def measure(data_dir: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round: the one start alone, and of three at once the two on spares and the third."""
    found: dict[str, list[float]] = {"alone": [], "spares": [], "third": []}
    with running_platform(data_dir, spares=0) as platform, platform.api() as api:
        for number in range(1, rounds + 1):
            _set_spares(api, 0)
            found["alone"] += waits(api, 1)
            _set_spares(api, SPARES)
            *quick, third = waits(api, SPARES + 1)
            found["spares"] += quick
            found["third"].append(third)
            say(f"{number}/{rounds}: alone {found['alone'][-1]:.1f} s, third {third:.1f} s")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch) / "data", options.rounds)
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        return
    for kind, seconds in found.items():
        print(f"{kind:<8} median {statistics.median(seconds):6.1f} s   worst {max(seconds):6.1f} s   of {len(seconds)}")


if __name__ == "__main__":
    main()
