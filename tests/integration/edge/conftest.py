"""One edge for a module; gateways and the platform's pages for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import Edge, Gateway, platform_app, running_gateway
from tests.support.ports import free_port


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    made = Edge(tmp_path_factory.mktemp("edge"), free_port())
    try:
        asyncio.run(made.local.ensure())
        yield made
    finally:
        asyncio.run(made.local.stop())


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with running_gateway() as made:
        yield made


@pytest.fixture
async def platform(edge: Edge) -> AsyncIterator[None]:
    async with serving(platform_app, WebPlace(edge.web_socket)):
        yield
