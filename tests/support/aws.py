"""The AWS provider's adapters on a lab, each control plane with adapters of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from lab.plain import PlainLab
from lab.site import Site
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.bootstrap.aws import aws_sdk, provide_aws
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.ports.tracing import Watch
from openclaw_hosted.settings import load_settings
from openclaw_hosted.settings_aws import load_aws_settings
from tests.support.clock import HurriedClock

MARK = "lab00000"
"""That of the platform."""
__all__ = ["aws_environment", "provided_on", "sdk_on", "without_balancer"]


@asynccontextmanager
async def provided_on(site: Site, watch: Watch | None = None, /, **changes: str) -> AsyncIterator[Provided]:
    """The provider as a control plane has it when it starts."""
    with aws_environment(site, **changes):
        async with AsyncExitStack() as stack:
            yield await provide_aws(load_settings(), MARK, HurriedClock(), lambda _: None, stack, watch)


@asynccontextmanager
async def sdk_on(lab: PlainLab) -> AsyncIterator[AwsSdk]:
    """The narrow client alone."""
    with aws_environment(lab.site):
        async with aws_sdk(load_aws_settings(), HurriedClock()) as sdk:
            yield sdk


@contextmanager
def aws_environment(site: Site, **changes: str) -> Iterator[None]:
    """The environment of a control plane, for the length of a block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**site.environment(), **changes}.items():
            patch.setenv(name, value)
        yield


def without_balancer(data_dir: Path, port: int) -> dict[str, str]:
    """Settings with which the edge of this computer is what users reach."""
    return {
        "LOAD_BALANCER": "none", "ALB_LISTENER_ARN": "", "SHARD_URLS": "", "PUBLIC_URL": f"http://localhost:{port}", "HOST": "127.0.0.1",
        "PORT": str(port), "OPENCLAW_HOSTED_DATA_DIR": str(data_dir),
    }  # fmt: skip
