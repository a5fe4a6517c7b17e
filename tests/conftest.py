"""What a machine has to be able to run: a skipped test that carries a marker named in OPENCLAW_HOSTED_REQUIRE is a failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator

import pytest

REQUIRED = frozenset(filter(None, os.environ.get("OPENCLAW_HOSTED_REQUIRE", "").split(",")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    missing = REQUIRED & {marker.name for marker in item.iter_markers()}
    if report.skipped and missing and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but {', '.join(sorted(missing))} has to run here: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def first_loop() -> Iterator[None]:
    """The loop that pytest-asyncio puts back after each test. Where there is none it makes one and never closes it, and whichever
    test runs when that is collected fails."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
