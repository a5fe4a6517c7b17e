"""How a run is put together: what has to run here, in which part and beside what, and what it took."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from ssl import SSLContext
from typing import Any

import certifi
import httpx
import pytest
import structlog

from tests.support.durations import Durations
from tests.support.parts import Part, parse_part

REQUIRED = frozenset(filter(None, os.environ.get("OPENCLAW_HOSTED_REQUIRE", "").split(",")))
"""A skipped test that carries one of these markers is a failure."""
GROUPS = {"lab": "nested machines", "docker": "containers", "openclaw": "processes", "browser": "processes"}
"""By marker, the first that fits: such tests need much of the computer, and run one after the other while others do the rest."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", type=parse_part, default=Part(1, 1), help="run one part of the tests, such as 2/4")
    parser.addoption("--durations-file", type=Path, default=None, help="keep what each test took, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Durations(config.getoption("--durations-file")))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Here and not later: xdist reads the groups before any other hook sees the items together."""
    group = next((name for marker, name in GROUPS.items() if item.get_closest_marker(marker)), None)
    if group is not None:
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen, left = config.getoption("--part").choose(items)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = chosen


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


@pytest.fixture(autouse=True)
def logs_set_up_as_before() -> Iterator[None]:
    """A test that changes for good what is logged changes what the tests after it see."""
    before = structlog.get_config()
    yield
    assert structlog.get_config() == before, "this test left structlog configured in another way"


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """An HTTP client reads the certificate authorities of the world, for 20 ms of CPU. The many clients and polls of a run share them."""
    read = httpx.create_ssl_context

    @cache
    def known(trust_env: bool, *_: str | None) -> SSLContext:
        return read(trust_env=trust_env)

    def shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> SSLContext:
        if verify is not True or cert:
            return read(verify, cert, trust_env)
        return known(trust_env, certifi.where(), os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", shared)
        yield
