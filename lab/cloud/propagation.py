"""Rules of listeners as they are in force: a while after the API has taken them.

Assumed: AWS states no time. People report seconds to tens of seconds until every node of a load balancer follows a changed rule.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.plane.base import Rule

if TYPE_CHECKING:
    from lab.cloud.account import Account


@dataclass(slots=True)
class _Known:
    in_force: Rule | None
    wanted: Rule | None
    due: float


@dataclass
class Propagation:
    """What each rule was and will be, by its ARN."""

    _known: dict[str, _Known] = field(default_factory=dict)

    def follow(self, account: Account, wanted: Mapping[str, Rule]) -> tuple[Rule, ...]:
        """The rules in force, when these are wanted. One that was seen to differ takes its time from then on."""
        now, (least, most) = account.clock(), account.delays.rule_seconds
        if not most:
            return tuple(wanted.values())
        for arn in {*wanted, *self._known}:
            known = self._known.setdefault(arn, _Known(None, None, now))
            if known.wanted != wanted.get(arn):
                known.wanted, known.due = wanted.get(arn), now + random.uniform(least, most)  # noqa: S311
            if now >= known.due:
                known.in_force = known.wanted
        self._known = {arn: known for arn, known in self._known.items() if known.in_force or known.wanted}
        return tuple(known.in_force for known in self._known.values() if known.in_force)
