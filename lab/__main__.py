"""`python -m lab`: an AWS on this computer with the platform on top, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.cloud.buckets import AwsBuckets
from lab.cloud.latency import Delays, Latencies
from lab.nested import nested_lab
from lab.plain import plain_lab
from lab.site import Plan, Site
from openclaw_hosted.adapters.local.docker.image import ensure_image
from openclaw_hosted.adapters.local.install import ensure_openclaw
from openclaw_hosted.domain.errors import PortError

STOP_SECONDS: Final = 40
COMMAND: Final = str(Path(sys.executable).parent / "openclaw-hosted")


def main() -> int:
    """Start everything; returns the platform's exit code."""
    asked = _arguments()
    data_dir = asked.data_dir or Path(tempfile.mkdtemp(prefix="openclaw-lab-"))
    plan = Plan(platform=("127.0.0.1", _free_port()), shards=asked.shards)
    try:
        with _site(asked, plan, data_dir) as site:
            site.cloud.faults.buckets = AwsBuckets() if asked.slow else None
            environment = {**site.environment(), "AWS_DEFAULT_REGION": site.cloud.region, "OPENCLAW_HOSTED_DATA_DIR": str(data_dir)}
            _say_where(site, environment, data_dir)
            return _run_platform({**os.environ, **environment}, asked.spares)
    except (PortError, FileNotFoundError) as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("--plain", action="store_true", help="stand-ins instead of machines with Docker and the real OpenClaw")
    parser.add_argument("--slow", action="store_true", help="let calls and boots take about as long as on AWS, and refuse too many calls")
    parser.add_argument("--shards", type=int, default=1, help="how many load balancers (1)")
    parser.add_argument("--spares", type=int, default=1, help="how many spares the pool keeps (1)")
    parser.add_argument("--data-dir", type=Path, help="where the platform keeps its database (a new directory)")
    return parser.parse_args()


@contextmanager
def _site(asked: argparse.Namespace, plan: Plan, data_dir: Path) -> Iterator[Site]:
    latencies = Latencies(scale=1.0 if asked.slow else 0.0)
    delays = Delays.real() if asked.slow else Delays()
    if asked.plain:
        with plain_lab(plan, latencies=latencies, delays=delays) as fast:
            yield fast.site
        return
    image = asyncio.run(_image(data_dir))
    with nested_lab(image, plan, _say, latencies=latencies, delays=delays) as full:
        yield full.site


async def _image(data_dir: Path) -> str:
    """OpenClaw's image in this computer's Docker engine, built if it is not there."""
    return await ensure_image(await ensure_openclaw(data_dir, _say), _say)


def _say_where(site: Site, environment: Mapping[str, str], data_dir: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    settings = data_dir / "lab.env"
    settings.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))
    print(
        f"\nThe emulated AWS answers at {site.cloud.endpoint_url}, the load balancer at {' and '.join(site.addresses())}.\n"
        f"In another terminal:\n"
        f"  source {settings}\n"
        f"  aws --endpoint-url {site.cloud.endpoint_url} ec2 describe-instances\n"
        f"  {COMMAND} machines list\n",
        flush=True,
    )


def _run_platform(environment: dict[str, str], spares: int) -> int:
    with subprocess.Popen([COMMAND, "up", "--spares", str(spares)], env=environment) as platform:
        signal.signal(signal.SIGTERM, lambda *_: platform.terminate())
        try:
            return platform.wait()
        except KeyboardInterrupt:
            return platform.wait(STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    print(f"\033[1m==>\033[0m {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
