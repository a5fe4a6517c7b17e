"""What a command of the command line costs: CPU of its process, user and system, from start to end.

    make bench-cli                  # or: python -m bench.cli --runs 15 --json FILE

The commands ask a platform that runs beside them: the web part of the control plane, on the fake provider, with one instance. The
peers, in turns with them, are what no such command can do without: Python itself, and the smallest program that Typer makes; and one
that only imports an HTTP client.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.harness import parser, publish, say
from tests.support.platform import RunningPlatform
from tests.support.web_only import web_only

TARGET_SECONDS = 0.35
PEER = "the smallest Typer program"
SMALLEST = """
import typer
app = typer.Typer()
@app.command()
def hello(name: str | None = None, as_json: bool = False) -> None:
    print("hello")
app()
"""
OURS = ("--version", "--help", "version", "pool show --json", "instances list --json", "instances list", "status")
UNTOLD = {"--version", "--help", "version"}
"""Those that take no data directory."""


def measure(folder: Path, runs: int) -> dict[str, Any]:
    """Start a platform, and run each command and each peer in turns."""
    with web_only(folder / "data", {}) as platform:
        platform.cli("instances", "create", "First look")
        programs = programs_of(platform)
        for program in programs.values():
            cpu_of(program)
        say(f"{runs} rounds of {len(programs)} programs")
        rounds = [{name: cpu_of(program) for name, program in programs.items()} for _ in range(runs)]
    return {
        "runs": runs,
        "cpu_seconds": {name: statistics.median(each[name] for each in rounds) for name in programs},
        "cpu_seconds_worst": {name: max(each[name] for each in rounds) for name in programs},
        "ratio": {name: statistics.median(each[name] / each[PEER] for each in rounds) for name in programs},
        "target_cpu_seconds": TARGET_SECONDS,
    }


def programs_of(platform: RunningPlatform) -> Mapping[str, Sequence[str]]:
    """What is measured, by name."""
    where = ("--data-dir", str(platform.data_dir))
    peers = {"python -c pass": ("-c", "pass"), "python -c 'import httpx'": ("-c", "import httpx"), PEER: ("-c", SMALLEST)}
    ours = {f"openclaw-hosted {line}": ("-m", "openclaw_hosted", *line.split(), *(() if line in UNTOLD else where)) for line in OURS}
    return {name: (sys.executable, *arguments) for name, arguments in (peers | ours).items()}


def cpu_of(program: Sequence[str]) -> float:
    """Seconds of CPU that a program takes; it has to end well."""
    process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 6):
        raise SystemExit(f"{' '.join(program)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    return [
        ("CPU of a command", "median", "worst", f"of {PEER}", "target"),
        *(
            (
                name,
                f"{seconds:.3f} s",
                f"{result['cpu_seconds_worst'][name]:.3f} s",
                f"{result['ratio'][name]:.2f}",
                f"{TARGET_SECONDS} s" if name.startswith("openclaw-hosted") else "",
            )
            for name, seconds in result["cpu_seconds"].items()
        ),
    ]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=11)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        result = measure(Path(folder), given.runs)
    publish(result, rows(result), given.json)


if __name__ == "__main__":
    main()
