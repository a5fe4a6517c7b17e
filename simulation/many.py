"""Many runs, on several cores."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from simulation.faults import Coverage
from simulation.plan import make_plan
from simulation.run import Outcome, simulate

TELL_SECONDS = 1 if sys.stderr.isatty() else 20


@dataclass(frozen=True)
class Line:
    """What is kept of one run."""

    seed: int
    violation: str | None
    coverage: Coverage
    lifecycles: int
    cpu_seconds: float
    digest: str


@dataclass
class Total:
    """What came of all runs."""

    runs: int = 0
    lifecycles: int = 0
    cpu_seconds: float = 0.0
    violations: dict[int, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, line: Line) -> None:
        """Count one in."""
        self.runs += 1
        self.lifecycles += line.lifecycles
        self.cpu_seconds += line.cpu_seconds
        self.coverage.add(line.coverage)
        if line.violation is not None:
            self.violations[line.seed] = line.violation

    @property
    def rate(self) -> float:
        """Lifecycles of instances in a second of one core."""
        return self.lifecycles / max(self.cpu_seconds, 1e-9)


def run_one(seed: int) -> Line:
    """Simulate a seed."""
    outcome: Outcome = simulate(make_plan(seed))
    gc.collect()
    return Line(seed, outcome.violation, outcome.coverage, outcome.lifecycles, outcome.cpu_seconds, outcome.history.digest())


def run_many(seeds: Sequence[int], jobs: int, *, stop_at_first: bool = False, tell: Callable[[Total], None] = lambda _: None) -> Total:
    """Simulate all seeds; the order of the answers does not matter. `tell` hears of the progress now and then."""
    total, told = Total(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=gc.freeze) as pool:
        for line in pool.imap_unordered(run_one, seeds, chunksize=1):
            total.add(line)
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                tell(total)
            if stop_at_first and total.violations:
                pool.terminate()
                break
    return total


def progress(count: int) -> Callable[[Total], None]:
    """Shows how far it is, on one line where a person looks on."""
    end = "\r" if sys.stderr.isatty() else "\n"

    def tell(total: Total) -> None:
        line = f"{total.runs} of {count} runs, {total.lifecycles} lifecycles, {len(total.violations)} violations"
        sys.stderr.write(line + end)
        sys.stderr.flush()

    return tell
