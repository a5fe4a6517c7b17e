"""The whole platform as its user starts it: `openclaw-hosted up` in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

REPOSITORY = Path(__file__).resolve().parents[2]
INSTALL_CACHE = Path(os.environ.get("OPENCLAW_HOSTED_TEST_CACHE", REPOSITORY / ".cache" / "openclaw"))
ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "correct horse battery"


def share_install(data_dir: Path) -> None:
    """Let a fresh data directory use the OpenClaw that an earlier test installed."""
    data_dir.mkdir(parents=True, exist_ok=True)
    for name in ("openclaw", "compile-cache"):
        shared = INSTALL_CACHE / name
        shared.mkdir(parents=True, exist_ok=True)
        link = data_dir / name
        if not link.exists():
            link.symlink_to(shared)


@dataclass
class RunningPlatform:
    """A platform on one computer, started by its command."""

    data_dir: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    launched: list[subprocess.Popen[bytes]] = field(default_factory=list)
    token: str = ""
    """Of the admin's, once one was made."""

    @property
    def url(self) -> str:
        """The address that a user opens."""
        return f"http://localhost:{self.port}"

    @property
    def output(self) -> str:
        """What the command printed so far."""
        return (self.data_dir / "up.out").read_text(errors="replace")

    def cli(
        self, *arguments: str, check: bool = True, stdin: str = "", timeout_seconds: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line against this platform."""
        return subprocess.run(
            [sys.executable, "-m", "openclaw_hosted", *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True, text=True, timeout=timeout_seconds, check=check, input=stdin, env={**os.environ, **self.environment},
        )  # fmt: skip

    def start(self, *, spares: int = 1, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Start it and wait until it says that it is ready."""
        self.process = self.launch("up", "--spares", str(spares))
        wait_until(self.is_answering, timeout_seconds, lambda: f"the platform did not come up:\n{self.output}")

    def launch(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a part of it, without waiting."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        first_account = {"OPENCLAW_HOSTED_ADMIN_EMAIL": ADMIN_EMAIL, "OPENCLAW_HOSTED_ADMIN_PASSWORD": ADMIN_PASSWORD}
        with (self.data_dir / "up.out").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "openclaw_hosted", *command, "--port", str(self.port), "--data-dir", str(self.data_dir)],
                stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, "MACHINES": "process", **first_account, **self.environment},
            )  # fmt: skip
        self.launched.append(process)
        return process

    def end_all(self) -> None:
        """Stop everything, whatever state it is in."""
        for process in self.launched:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        self.cli("down", check=False)
        for process in self.launched:
            if process.poll() is None:
                process.kill()
            process.wait(30)

    def kill(self) -> None:
        """SIGKILL the control plane, and only it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        """Stop the control plane as Ctrl-C does; gateways run on."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def down(self) -> None:
        """Stop everything, gateways and edge included."""
        if self.process is not None:
            self.stop()
        self.cli("down")

    def api(self) -> httpx.Client:
        """A client of the API with a token of the admin's."""
        if not self.token:
            made = self.cli("tokens", "create", "--user", ADMIN_EMAIL, "--label", "test", "--json")
            self.token = json.loads(made.stdout)["token"]
        return httpx.Client(base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE_SECONDS)

    def is_answering(self) -> bool:
        """Whether the platform says that it is ready."""
        assert self.process is None or self.process.poll() is None, self.output
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


def wait_until(condition: Any, timeout_seconds: float, message: Any = lambda: "it did not happen in time", every: float = 0.1) -> None:
    """Wait for a condition, or fail with a message made then."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, message()
        time.sleep(every)


@contextmanager
def running_platform(data_dir: Path, *, spares: int = 1, environment: Mapping[str, str] | None = None) -> Iterator[RunningPlatform]:
    """A platform for the length of a test; nothing of it is left afterwards."""
    share_install(data_dir)
    platform = RunningPlatform(data_dir, free_port(), environment or {})
    try:
        platform.start(spares=spares)
        yield platform
    finally:
        platform.down()
        shutil.rmtree(data_dir, ignore_errors=True)
