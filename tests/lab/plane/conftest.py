"""Load balancers over a topology of the test's own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from lab.plane.balancer import LabBalancers
from tests.lab.plane.balancing import Cloud
from tests.lab.plane.plain_world import World


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing may go wrong on the lab's own threads, where no test would see it."""
    yield
    records = [record for when in ("setup", "call", "teardown") for record in caplog.get_records(when)]
    assert [record.getMessage() for record in records if record.levelno >= logging.ERROR] == []


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def balancers(cloud: Cloud) -> Iterator[LabBalancers]:
    made = LabBalancers(cloud.topology)
    yield made
    made.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.machines.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client
