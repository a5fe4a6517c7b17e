"""Makes a failure shorter: leaves out acts and strikes as long as the same invariant is still violated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from simulation.plan import Act, Plan, Strike
from simulation.run import Outcome, simulate

LONGEST_SECONDS = 60.0
Part = Act | Strike


def shrink(failed: Outcome, seconds: float = LONGEST_SECONDS) -> Outcome:
    """The shortest history found in so much time that violates the same invariant."""
    deadline, best = time.monotonic() + seconds, failed
    parts: list[Part] = [*failed.plan.acts, *failed.plan.strikes]
    size = len(parts) // 2
    while size >= 1 and time.monotonic() < deadline:
        place, smaller = 0, False
        while place < len(parts) and time.monotonic() < deadline:
            fewer = parts[:place] + parts[place + size :]
            outcome = simulate(_only(failed.plan, fewer))
            if _same(outcome, failed):
                parts, best, smaller = fewer, outcome, True
            else:
                place += size
        size = size if smaller and size == 1 else size // 2
    return best


def _only(plan: Plan, parts: Sequence[Part]) -> Plan:
    acts = tuple(part for part in parts if isinstance(part, Act))
    return replace(plan, acts=acts, strikes=tuple(part for part in parts if isinstance(part, Strike)))


def _same(outcome: Outcome, failed: Outcome) -> bool:
    """Whether the same invariant is violated; a run that does not converge takes longest, so that it is told by its first words."""
    return (outcome.violation or "")[:30].split(":")[0] == (failed.violation or "")[:30].split(":")[0]
