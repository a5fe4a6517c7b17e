"""What a run of the tests spent, and where: printed after each run, kept as JSON with `--durations-file`."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import pytest

WORTH_NAMING_SECONDS = 5.0
NAMED_AT_MOST = 20


@dataclass
class Spent:
    """One test: seconds on the wall and of CPU (its own process and the children that it waited for), set-up and tear-down included."""

    test: str
    worker: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def part(self) -> str:
        """The folder that it is counted under: `integration/aws`, `unit`."""
        return "/".join(PurePosixPath(self.test.partition("::")[0]).parent.parts[1:3])


class Durations:
    """Adds up the reports of all workers."""

    def __init__(self, kept: Path | None) -> None:
        self.kept = kept
        self.spent: dict[str, Spent] = {}
        self._cpu_before = _cpu_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now = _cpu_seconds()
        # A report travels from a worker with all its attributes.
        report.cpu_seconds, self._cpu_before = now - self._cpu_before, now  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = self.spent.setdefault(report.nodeid, Spent(report.nodeid, getattr(report, "worker_id", "main")))
        spent.seconds += report.duration
        spent.cpu_seconds += getattr(report, "cpu_seconds", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.spent:
            return
        if self.kept is not None:
            self.kept.write_text(json.dumps([asdict(spent) for spent in self.spent.values()], indent=0))
        terminalreporter.section("where the time went")
        for line in [*by_part(self.spent.values()), "", *slowest(self.spent.values())]:
            terminalreporter.write_line(line)


def by_part(spent: Iterable[Spent]) -> list[str]:
    """A table: a row for each folder of tests, the most expensive first."""
    parts: dict[str, list[Spent]] = defaultdict(list)
    for each in spent:
        parts[each.part].append(each)
    rows = sorted(((sum(s.seconds for s in tests), part, tests) for part, tests in parts.items()), key=lambda row: -row[0])
    whole = sum(seconds for seconds, _, _ in rows) or 1.0
    lines = [f"{'part':<28}{'tests':>6}{'seconds':>10}{'of CPU':>9}{'mean':>8}{'share':>7}"]
    for seconds, part, tests in rows:
        cpu = sum(test.cpu_seconds for test in tests)
        lines.append(f"{part:<28}{len(tests):>6}{seconds:>10.1f}{cpu:>9.1f}{seconds / len(tests):>8.2f}{seconds / whole:>7.0%}")
    return lines


def slowest(spent: Iterable[Spent]) -> list[str]:
    """The tests that took longest, if any took long."""
    long = sorted((each for each in spent if each.seconds >= WORTH_NAMING_SECONDS), key=lambda each: -each.seconds)
    return [f"{each.seconds:7.1f} s {each.cpu_seconds:6.1f} s CPU  {each.test}" for each in long[:NAMED_AT_MOST]]


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
