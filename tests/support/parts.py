"""A run of the tests in parts, so that a long one can be spread over computers or sittings."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

WEIGHTS = {"openclaw": 20, "docker": 20, "lab": 20, "long": 10}
"""About how many ordinary tests take as long as one with such a marker."""


@dataclass(frozen=True, slots=True)
class Part:
    """Part `number`, from 1, of `count`."""

    number: int
    count: int

    def choose(self, items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
        """The tests of this part, and the others, in their order. A file stays whole, for its tests share what was costly to set up."""
        mine = self._files(items)
        chosen = [item for item in items if item.path in mine]
        return chosen, [item for item in items if item.path not in mine]

    def _files(self, items: Sequence[pytest.Item]) -> set[Path]:
        """The heaviest file goes to the part that has least so far, and so on: the same on every computer."""
        weights: dict[Path, int] = defaultdict(int)
        for item in items:
            weights[item.path] += max([1, *(weight for marker, weight in WEIGHTS.items() if item.get_closest_marker(marker))])
        loads, files = [0] * self.count, [set[Path]() for _ in range(self.count)]
        for path, weight in sorted(weights.items(), key=lambda each: (-each[1], each[0])):
            least = loads.index(min(loads))
            loads[least] += weight
            files[least].add(path)
        return files[self.number - 1]


def parse_part(text: str) -> Part:
    """`2/4`. Raises `ArgumentTypeError`."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"“{text}” is not a part of a run: write 2/4 for the second of four.")
    return Part(int(number), int(count))
