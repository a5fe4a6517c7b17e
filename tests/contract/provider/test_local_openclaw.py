"""The local provider's gateways, held against their contract with the real OpenClaw."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.install import OpenClawRelease
from tests.contract.provider.gateways import GatewaysContract
from tests.contract.provider.test_local import LocalHarness
from tests.support.platform import share_install


@pytest.fixture
async def harness(tmp_path: Path, release: OpenClawRelease) -> AsyncIterator[LocalHarness]:
    share_install(tmp_path)
    made = LocalHarness(tmp_path, release)
    yield made
    await made.clear()


@pytest.mark.openclaw
@pytest.mark.long
class TestLocalGateways(GatewaysContract):
    pass
