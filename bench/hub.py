"""A running JupyterHub, for the benchmarks that measure it beside us."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

from bench.peers import answers, chp_command, ended, jupyterhub_python
from tests.support.platform import wait_until
from tests.support.ports import free_port

START_SECONDS: Final = 120.0
COMMON: Final = """
import os

c.JupyterHub.bind_url = os.environ["BENCH_URL"]
c.JupyterHub.hub_port = int(os.environ["BENCH_HUB_PORT"])
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.log_level = "ERROR"
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.services = [{"name": "bench", "api_token": os.environ["BENCH_TOKEN"]}]
c.JupyterHub.load_roles = [{"name": "bench", "scopes": ["admin:users", "admin:servers"], "services": ["bench"]}]
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.command = os.environ["BENCH_PROXY"].split("\\n")
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:" + os.environ["BENCH_PROXY_API_PORT"]
"""


@contextlib.contextmanager
def jupyterhub(folder: Path, spawner: str, environment: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """A running hub: its port, and the headers that a request to its API carries. `spawner` is Python that sets its spawner."""
    port, token = free_port(), secrets.token_hex(16)
    python = jupyterhub_python()
    (folder / "config.py").write_text(COMMON + spawner)
    surroundings = {
        **os.environ, **environment, "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "BENCH_URL": f"http://127.0.0.1:{port}", "BENCH_HUB_PORT": str(free_port()), "BENCH_TOKEN": token,
        "BENCH_PROXY": "\n".join(chp_command()), "BENCH_PROXY_API_PORT": str(free_port()), "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
    }  # fmt: skip
    command = [str(python), "-m", "jupyterhub", "-f", "config.py"]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
    with (
        (folder / "hub.log").open("wb") as log,
        client,
        ended(subprocess.Popen(command, cwd=folder, env=surroundings, stdout=log, stderr=log)),
    ):
        wait_until(lambda: answers(client, "/hub/api/"), START_SECONDS, (folder / "hub.log").read_text)
        yield port, {"Authorization": f"token {token}"}
