"""Load balancers over a topology of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plane.balancer import LabBalancers
from tests.lab.plane.balancing import Cloud


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def balancers(cloud: Cloud) -> Iterator[LabBalancers]:
    made = LabBalancers(cloud.topology)
    yield made
    made.close()
