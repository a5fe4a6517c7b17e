"""Which call is befallen by what, and how often each fault was met."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from openclaw_hosted.domain.errors import PortError, ProviderAway, Throttled, Unavailable
from simulation.plan import ActKind, Fault, Plan

SELDOM = 0.04
"""How often a call takes seconds though nothing befalls it."""


@dataclass
class Coverage:
    """How often each fault hit each call, and how often each act was done."""

    faults: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    acts: Counter[ActKind] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        """Count another run's in."""
        self.faults.update(other.faults)
        self.acts.update(other.acts)
        self.calls.update(other.calls)


@dataclass(frozen=True, slots=True)
class Weather:
    """What befalls all calls for a while."""

    database_away: bool = False
    cloud_away: bool = False
    throttled: bool = False
    hints_lost: bool = False


CALM = Weather()


class Faults:
    """Draws delays, and counts calls until the plan strikes."""

    def __init__(self, plan: Plan) -> None:
        self._random = random.Random(f"{plan.seed} delays")  # noqa: S311 - it has to be repeated
        self._strikes: dict[str, dict[int, Fault]] = defaultdict(dict)
        for strike in plan.strikes:
            self._strikes[strike.call][strike.nth] = strike.fault
        self.coverage = Coverage()
        self.weather = CALM
        self.is_over = False

    def strike(self, call: str) -> Fault | None:
        """What the plan has for this call; each is counted."""
        self.coverage.calls[call] += 1
        if self.is_over:
            return None
        fault = self._strikes[call].pop(self.coverage.calls[call], None) if call in self._strikes else None
        if fault is not None:
            self.coverage.faults[call, fault] += 1
        return fault

    def storm(self, call: str) -> PortError | None:
        """What the weather answers to any call of this kind."""
        if "_store." in call:
            return Unavailable("The database does not answer; it will be tried again.") if self.weather.database_away else None
        if self.weather.cloud_away:
            return ProviderAway("The provider does not answer.")
        if self.weather.throttled and self._random.random() < 0.5:
            return Throttled("Rate exceeded.")
        return None

    def delays(self, fault: Fault | None) -> tuple[float, float]:
        """Seconds until the effect, and from it to the answer."""
        draw = self._random.random
        if fault is Fault.SLOW:
            return 2 + 5 * draw(), 3 * draw()
        if draw() < SELDOM:
            return 2 * draw(), draw()
        return 0.001 + 0.03 * draw(), (0.02 * draw() if draw() < 0.3 else 0.0)

    def lateness(self) -> float:
        """Seconds from telling the caller that no answer came to the effect."""
        return 0.2 + 2 * self._random.random()

    def error(self, fault: Fault, call: str) -> PortError:
        """What the caller of a call that failed is told."""
        if fault is Fault.THROTTLED:
            return Throttled("Rate exceeded.")
        return ProviderAway(f"No answer to {call}.") if fault is Fault.AWAY else Unavailable(f"No answer to {call}.")
