"""What the benchmarks share: arguments, tables, where they were run, and what processes cost."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "bench"
"""Where peers are installed, once for all runs."""
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What processes cost now: memory in MB (each shared page counted once among those who share it), CPU in seconds since their start."""

    pss_mb: float
    rss_mb: float
    cpu_seconds: float


def parser(about: str | None) -> argparse.ArgumentParser:
    """A parser with the option that all benchmarks have."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    return made


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(line + "\n")


def publish(result: Mapping[str, Any], rows: Sequence[Sequence[str]], file: Path | None) -> None:
    """Print the rows, the first of them as headings; write the result and where it was measured to the file."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    if file is not None:
        file.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What this was measured on. A load that is not near 0 at the start means that others were at work."""
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def cost_of(*pids: int) -> Cost:
    """What these processes cost together."""
    pss = rss = cpu = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        memory, times = process.memory_full_info(), process.cpu_times()
        pss, rss, cpu = pss + memory.pss, rss + memory.rss, cpu + times.user + times.system
    return Cost(pss / MB, rss / MB, cpu)


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used since its start."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
