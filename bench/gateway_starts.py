"""One OpenClaw at a time, from asking to its page: our hot spare beside a JupyterHub that starts the same gateway.

    python -m bench.jupyterhub --openclaw

JupyterHub starts what we start: the same release with the same configuration and plugin, the same Node.js with the same compile cache, on
a state directory of its own for each user; only the path that it serves is JupyterHub's. It does so once it is asked, as it
does; ours has done it before, which is the point. Both take turns, and the pool is full again before the other's turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from bench.claim import is_openclaw, one_trial, poll, signed_in, wait_for_spare
from bench.harness import say
from bench.hub import jupyterhub
from openclaw_hosted.adapters.local.install import OpenClawRelease, ensure_openclaw
from openclaw_hosted.adapters.local.runtimes import Berth, ProcessRuntime
from openclaw_hosted.adapters.openclaw.config import merge_patch, render_config
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.support.platform import running_platform, share_install
from tests.support.ports import free_port

ELSEWHERE: Final = {"X-Forwarded-For": "192.0.2.1"}
"""OpenClaw refuses a request that its proxy says is this computer's, as JupyterHub's proxy says of ours."""
SPAWNER: Final = """
import asyncio, json
from pathlib import Path
from jupyterhub.spawner import Spawner

class Gateway(Spawner):
    \"\"\"Starts the program that was written down for the user.\"\"\"
    process = None

    async def start(self):
        told = json.loads(Path(os.environ["BENCH_GATEWAYS"], self.user.name + ".json").read_text())
        log = open(told["log"], "ab")
        self.process = await asyncio.create_subprocess_exec(*told["argv"], env=told["env"], cwd=told["cwd"], stdout=log, stderr=log)
        return "127.0.0.1", told["port"]

    async def stop(self, now=False):
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def poll(self):
        return None if self.process is not None and self.process.returncode is None else 0

c.JupyterHub.spawner_class = Gateway
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
"""


def measure(trials: int) -> dict[str, Any]:
    """Seconds of each trial, of both."""
    with tempfile.TemporaryDirectory(prefix="och-") as folder, contextlib.ExitStack() as stack:
        root = Path(folder)
        share_install(root / "hub")
        release = asyncio.run(ensure_openclaw(root / "hub", say))
        starts_one = stack.enter_context(hub(root / "hub", release, trials))
        claims_one = stack.enter_context(ours(root / "ours"))
        theirs, mine = [], []
        for number in range(trials):
            theirs.append(starts_one(number))
            mine.append(claims_one())
            say(f"{number + 1}/{trials}: JupyterHub {theirs[-1]:.2f} s, ours {mine[-1]:.3f} s")
    return {
        "jupyterhub_seconds": theirs,
        "ours_seconds": mine,
        "ratio": statistics.median(a / b for a, b in zip(theirs, mine, strict=True)),
    }


@contextlib.contextmanager
def hub(data_dir: Path, release: OpenClawRelease, users: int) -> Iterator[Callable[[int], float]]:
    """JupyterHub; called with a user's number, starts and stops that user's gateway, and says when its page was there."""
    for number in range(users):
        write_down(data_dir, release, f"user{number}")
    with (
        jupyterhub(data_dir, SPAWNER, {"BENCH_GATEWAYS": str(data_dir)}) as (port, headers),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client,
    ):
        client.post("/hub/api/users", json={"usernames": [f"user{number}" for number in range(users)]}).raise_for_status()

        def start_one(number: int) -> float:
            began = time.perf_counter()
            client.post(f"/hub/api/users/user{number}/server").raise_for_status()
            poll(lambda: is_openclaw(client.get(f"/user/user{number}/", headers=ELSEWHERE)))
            took = time.perf_counter() - began
            poll(lambda: client.delete(f"/hub/api/users/user{number}/server").status_code == httpx.codes.NO_CONTENT, every=0.2)
            return took

        yield start_one


def write_down(data_dir: Path, release: OpenClawRelease, user: str) -> None:
    """How this user's gateway is started, and its files, as the platform writes them for a machine."""
    instance_id, directory, port = InstanceId("oc-22222222"), data_dir / user, free_port()
    berth = Berth(directory, port, release.version, instance_id, directory / "state", directory / "home")
    for path in (berth.state_dir, berth.home_dir, berth.secrets_dir):
        path.mkdir(parents=True)
    runtime = ProcessRuntime(data_dir, release)
    spec = GatewaySpec(instance_id, 1, volume_of(instance_id), release.version)
    config = render_config(spec, runtime.places(directory, port), {})
    served = merge_patch(config, {"gateway": {"controlUi": {"basePath": f"/user/{user}"}}})
    (berth.state_dir / "openclaw.json").write_text(json.dumps(served))
    token = {Credential.GATEWAY_TOKEN: secrets.token_urlsafe(32)}
    (berth.secrets_dir / "secrets.json").touch(mode=0o600)
    (berth.secrets_dir / "secrets.json").write_text(json.dumps(token))
    program = runtime.program(berth)
    told = {"argv": program.argv, "env": dict(program.env), "cwd": program.cwd, "log": program.log, "port": port}
    (data_dir / f"{user}.json").write_text(json.dumps(told))


@contextlib.contextmanager
def ours(data_dir: Path) -> Iterator[Callable[[], float]]:
    """Our platform with a hot spare; called, creates and deletes an instance, and says when its page was there."""
    with running_platform(data_dir, spares=1) as platform, platform.api() as api, contextlib.closing(signed_in(platform)) as browser:

        def claim_one() -> float:
            took = one_trial(platform, api, browser).route
            wait_for_spare(api)
            return took

        wait_for_spare(api)
        yield claim_one


def rows(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The result for people."""
    lines: list[Sequence[str]] = [("OpenClaw, one at a time", "median", "fastest", "slowest", "ratio")]
    for name, key, factor in (("JupyterHub", "jupyterhub_seconds", "1"), ("ours, a hot spare", "ours_seconds", f"{result['ratio']:.0f}")):
        times = result[key]
        lines.append((name, *(f"{value:.2f} s" for value in (statistics.median(times), min(times), max(times))), factor))
    return lines
