"""What a person is told: progress, failures, and which fault hit which call how often."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.faults import Coverage
from simulation.plan import CELLS, ActKind, Fault
from simulation.run import Outcome

SHOWN_LINES = 120
_HEADS = {fault: fault.replace("died_", "†") for fault in Fault}


def failure(outcome: Outcome, found_with: int) -> Iterator[str]:
    """A failed run: its seed, what is violated, what befell it, and what happened."""
    plan, lines = outcome.plan, outcome.history.short()
    yield f"seed {plan.seed}: {outcome.violation}"
    yield f"  again: make simulate SEED={plan.seed}"
    yield f"  made shorter, from {found_with} parts of the plan to {len(plan.acts) + len(plan.strikes)}:"
    yield from (f"    {act}" for act in plan.acts)
    yield from (f"    {strike}" for strike in plan.strikes)
    yield "  what happened (the last lines):" if len(lines) > SHOWN_LINES else "  what happened:"
    yield from (f"    {line}" for line in lines[-SHOWN_LINES:])


def coverage(found: Coverage) -> Iterator[str]:
    """A table of calls and faults, and a list of acts, with how often each was met."""
    faults, possible = list(Fault), set(CELLS)
    yield f"{'':34}" + "".join(f"{_HEADS[fault]:>10}" for fault in faults) + f"{'calls':>10}"
    for call in dict.fromkeys(call for call, _ in CELLS):
        cells = (f"{found.faults[call, fault]:>10}" if (call, fault) in possible else f"{'·':>10}" for fault in faults)
        yield f"{call:34}" + "".join(cells) + f"{found.calls[call]:>10}"
    yield from (f"{kind:44}{found.acts[kind]:>10}" for kind in ActKind)


def never_met(found: Coverage) -> list[str]:
    """The faults and acts that no run met."""
    return [f"{fault} at {call}" for call, fault in CELLS if not found.faults[call, fault]] + [
        str(kind) for kind in ActKind if not found.acts[kind]
    ]
