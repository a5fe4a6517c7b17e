"""Which rule of a listener takes a request, and which of its target groups."""

from __future__ import annotations

import re
from functools import lru_cache

from lab.plane.base import Listener, Rule


def split_host(host: str) -> str:
    """The host name of a `Host` header, without its port, in lower case."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()


def rule_for(listener: Listener, host: str, path: str) -> Rule:
    """The rule of the lowest priority whose conditions hold. `path` is as the client sent it, without its query.

    Paths are compared as they are, hosts without regard to case. Raises `LookupError` where not even a default action is there.
    """
    name = split_host(host)
    for rule in sorted(listener.rules, key=lambda rule: rule.priority):
        if _holds(rule.paths, path) and _holds(tuple(value.lower() for value in rule.hosts), name):
            return rule
    raise LookupError(f"Listener {listener.arn} has no rule for {host}{path}.")


def _holds(values: tuple[str, ...], given: str) -> bool:
    return not values or any(_pattern(value).fullmatch(given) for value in values)


@lru_cache(maxsize=10_000)
def _pattern(value: str) -> re.Pattern[str]:
    """`*` stands for any characters or none, `?` for exactly one; nothing else is special."""
    return re.compile("".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in value), re.DOTALL)


class Turns:
    """Whose turn it is: among target groups by weight, among targets one after the other."""

    def __init__(self) -> None:
        self._credit: dict[str, dict[str, int]] = {}
        self._next: dict[str, int] = {}

    def group(self, owner: str, weights: dict[str, int]) -> str | None:
        """The group to take, spread evenly so that after each whole round each had its weight. None where all weights are 0."""
        weights = {name: weight for name, weight in weights.items() if weight > 0}
        if not weights:
            return None
        credit = self._credit.get(owner, {})
        credit = {name: credit.get(name, 0) + weight for name, weight in weights.items()}
        chosen = max(credit, key=lambda name: credit[name])
        credit[chosen] -= sum(weights.values())
        self._credit[owner] = credit
        return chosen

    def target(self, group: str, names: list[str]) -> str:
        """The target to take, round robin."""
        turn = self._next.get(group, 0)
        self._next[group] = turn + 1
        return names[turn % len(names)]
