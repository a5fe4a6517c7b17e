"""The peers that the benchmarks run beside us, each pinned, and installed once under .cache/bench."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.harness import CACHE, say
from openclaw_hosted.adapters.local.install import NODE_DIR
from tests.support.platform import wait_until
from tests.support.ports import free_port

CHP_VERSION: Final = "5.3.0"
JUPYTERHUB_VERSION: Final = "6.1.1"
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running configurable-http-proxy."""

    port: int
    api: httpx.Client
    pid: int

    def add(self, path: str, address: str) -> None:
        """Route `path` to the server at `address`."""
        self.api.post(f"/api/routes{path}", json={"target": f"http://{address}"}).raise_for_status()

    def remove(self, path: str) -> None:
        """Take the route away."""
        self.api.delete(f"/api/routes{path}").raise_for_status()


@contextlib.contextmanager
def configurable_http_proxy() -> Iterator[Proxy]:
    """JupyterHub's proxy, without routes."""
    port, api_port, token = free_port(), free_port(), secrets.token_hex(16)
    command = [
        *chp_command(), "--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1", "--api-port", str(api_port),
        "--log-level", "critical",
    ]  # fmt: skip
    client = httpx.Client(base_url=f"http://127.0.0.1:{api_port}", headers={"Authorization": f"token {token}"}, timeout=30)
    with ended(subprocess.Popen(command, env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": token})) as process, client as api:
        wait_until(lambda: answers(api, "/api/routes"), START_SECONDS)
        yield Proxy(port, api, process.pid)


def chp_command() -> list[str]:
    """How configurable-http-proxy is started; installs it where it is not."""
    folder = CACHE / f"configurable-http-proxy-{CHP_VERSION}"
    script = folder / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    if not script.exists():
        say(f"installing configurable-http-proxy {CHP_VERSION}")
        folder.mkdir(parents=True, exist_ok=True)
        npm = NODE_DIR / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        install = [str(node()), str(npm), "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
        path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        subprocess.run([*install, f"configurable-http-proxy@{CHP_VERSION}"], check=True, env={**os.environ, "PATH": path})
    return [str(node()), str(script)]


def node() -> Path:
    """The Node.js that the platform uses as well."""
    return NODE_DIR / "bin" / "node"


def jupyterhub_python() -> Path:
    """The Python of a virtual environment with JupyterHub; makes it where there is none."""
    folder = CACHE / f"jupyterhub-{JUPYTERHUB_VERSION}"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists():
        say(f"installing JupyterHub {JUPYTERHUB_VERSION}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", f"jupyterhub=={JUPYTERHUB_VERSION}"], check=True)
        stamp.touch()
    return python


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def wrk(url: str, *, seconds: float, connections: int, headers: Mapping[str, str], script: Path | None = None) -> Load:
    """Load an address with wrk. Any answer but 2xx and 3xx, and any lost connection, is an error."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is missing. Install it: apt-get install wrk")
    command = [program, "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "--timeout", "10s", "--latency"]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command += ["-s", str(script)] if script is not None else []
    done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    output = done.stdout
    if done.returncode or "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"Requests failed:\n{output}{done.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert rate is not None, output
    return Load(float(rate[1]), _latency(output, 50), _latency(output, 99))


def _latency(output: str, percent: int) -> float:
    found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)", output)
    assert found is not None, output
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def answers(client: httpx.Client, path: str) -> bool:
    """Whether it answers."""
    try:
        return client.get(path).is_success
    except httpx.HTTPError:
        return False


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended after the block."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def pause() -> None:
    """Let what was started settle."""
    time.sleep(0.5)
