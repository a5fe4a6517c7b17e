"""What docs/security.md says that a test proves has that test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"
FUNCTION = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
NAME = re.compile(r"`(?:(?P<file>[\w/]+\.py|…)::)?(?P<test>test_\w+)(?P<whole>\.py)?`")


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The tests there are, by the name of their file."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        found.setdefault(path.name, set()).update(FUNCTION.findall(path.read_text()))
    return found


def rows_of_attacks() -> Iterator[str]:
    """The rows of the tables below the heading of attacks, without their heads."""
    section = PAGE.read_text().partition("\n## Attacks that the tests try\n")[2].partition("\n## ")[0]
    before = ""
    for line in section.splitlines():
        if line.startswith("|") and before.startswith("|") and not line.startswith("| ---"):
            yield line
        before = line


def test_each_test_that_the_page_names_is_there(known: dict[str, set[str]]) -> None:
    everywhere = set().union(*known.values())
    missing, file = [], ""
    for named in NAME.finditer(PAGE.read_text()):
        if named["file"] and named["file"] != "…":
            file = named["file"].rpartition("/")[2]
        if named["whole"]:
            there = f"{named['test']}.py" in known
        else:
            there = named["test"] in (known.get(file, ()) if named["file"] else everywhere)
        if not there:
            missing.append(named[0])
    assert not missing


def test_each_attack_names_its_test() -> None:
    rows = list(rows_of_attacks())
    assert len(rows) > 1
    assert not [row for row in rows if not NAME.search(row.rstrip(" |").rpartition(" | ")[2])]
