"""Fixture: the npm registry, as this computer is set up to reach it."""

from __future__ import annotations

import subprocess

import pytest

from openclaw_hosted.adapters.local.install import NODE_DIR, NPM_DIR

ASKING_SECONDS = 60


@pytest.fixture(scope="session")
def npm_registry() -> None:
    """Skips where it can't be reached."""
    command = (NODE_DIR / "bin" / "node", NPM_DIR / "bin" / "npm-cli.js", "view", "openclaw", "name", "--fetch-retries=0")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASKING_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the npm registry does not answer within {ASKING_SECONDS} s")
    if done.returncode:
        pytest.skip(f"the npm registry can't be reached: {done.stderr.strip()[:200]}")
