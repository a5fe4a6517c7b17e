"""The web part of the control plane in a process of its own, on the fake provider: a platform to ask within seconds, without machines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from openclaw_hosted import local_socket
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, wait_until
from tests.support.ports import free_port


@contextmanager
def web_only(data_dir: Path, settings: Mapping[str, str]) -> Iterator[RunningPlatform]:
    """It answers for the length of the block; `settings` are its own, and not those of the commands that are run beside it."""
    platform = RunningPlatform(data_dir, free_port())
    data_dir.mkdir(parents=True, exist_ok=True)
    first_account = {"OPENCLAW_HOSTED_ADMIN_EMAIL": ADMIN_EMAIL, "OPENCLAW_HOSTED_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with (data_dir / "up.out").open("ab") as output:
        platform.process = subprocess.Popen(
            [
                sys.executable, "-m", "openclaw_hosted", "serve", "--role", "web",
                "--port", str(platform.port), "--data-dir", str(data_dir),
            ],
            stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "PROVIDER": "fake", **first_account, **settings},
        )  # fmt: skip
    try:
        wait_until(lambda: _answers(platform), 120, lambda: f"it does not answer:\n{platform.output}")
        yield platform
    finally:
        if platform.process.poll() is None:
            platform.kill()


def _answers(platform: RunningPlatform) -> bool:
    assert platform.process is not None
    assert platform.process.poll() is None, platform.output
    return local_socket.answers(platform.data_dir)
