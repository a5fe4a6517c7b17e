"""The command: `python -m simulation --seeds 300`, or `--seed 17` to see one again."""

from __future__ import annotations

import argparse
import os
import sys

from simulation import report
from simulation.many import Total, progress, run_many
from simulation.plan import make_plan
from simulation.run import simulate
from simulation.shrink import shrink

STANDARD_RUNS = 275


def main() -> int:
    """0: all is well; 1: an invariant was violated; 2: some fault was never met, and all had to be."""
    asked = _arguments()
    if asked.seed is not None:
        return _again(asked.seed, full=asked.full, shorter=asked.shrink)
    seeds = range(asked.first, asked.first + asked.seeds)
    total = run_many(seeds, asked.jobs, stop_at_first=asked.stop_at_first, tell=progress(len(seeds)))
    _tell(total, table=not asked.stop_at_first)
    if total.violations:
        seed = min(total.violations)
        return _again(seed, full=False, shorter=asked.shrink)
    missing = report.never_met(total.coverage)
    if missing and asked.all_faults:
        print("never met: " + ", ".join(missing))
        return 2
    return 0


def _again(seed: int, *, full: bool, shorter: bool) -> int:
    outcome = simulate(make_plan(seed))
    if full:
        print("\n".join(outcome.history.all_lines()))
    print(f"seed {seed}: {outcome.violation or 'all is well'}; history {outcome.history.digest()}")
    if outcome.violation is None:
        return 0
    parts = len(outcome.plan.acts) + len(outcome.plan.strikes)
    print("\n".join(report.failure(shrink(outcome) if shorter else outcome, parts)))
    return 1


def _tell(total: Total, *, table: bool) -> None:
    if table:
        print("\n".join(report.coverage(total.coverage)))
    print(f"{total.runs} runs, {total.lifecycles} lifecycles of instances, {total.rate:.1f} a second of one core")
    for seed, violation in sorted(total.violations.items()):
        print(f"seed {seed}: {violation}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=STANDARD_RUNS, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one only, and show its history where it fails")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--full", action="store_true", help="every line of the history of --seed")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="show a failure as it was found")
    parser.add_argument("--stop-at-first", action="store_true", help="stop at the first failure, without a table")
    parser.add_argument("--all-faults", action="store_true", help="fail where some fault hit some call never")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
