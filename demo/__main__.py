"""A platform that has lived for a month, to look at: `make demo`.

Fills a data directory anew with what a month of 300 users leaves behind, two incidents included, and serves it on the fake provider. The
control loops do not run: nothing changes by itself, and what an operator asks for is written down and not carried out.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from pathlib import Path

from demo.filling import fill
from demo.month import Month, Plan
from openclaw_hosted import datadir
from openclaw_hosted.bootstrap import open_platform, stop_everything
from openclaw_hosted.cli.stopping import stop_event
from openclaw_hosted.logging import logging_to
from openclaw_hosted.settings import Settings, load_settings

EMAIL, PASSWORD = "admin@example.com", "correct horse battery"


def main() -> None:
    """Fill, serve, and stop on Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path(".demo"), help="is emptied first (default: .demo)")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--users", type=int, default=300)
    given = parser.parse_args()
    settings = load_settings({
        "OPENCLAW_HOSTED_DATA_DIR": given.data_dir, "PORT": given.port, "PROVIDER": "fake", "FLEET_CAP": 1000, "INSTANCES_TOTAL": 1000,
        "POOL_SPARE_COUNT": Plan.spares, "OPENCLAW_HOSTED_ADMIN_EMAIL": EMAIL, "OPENCLAW_HOSTED_ADMIN_PASSWORD": PASSWORD,
    })  # fmt: skip
    _empty(settings.data_dir)
    datadir.prepare(settings.data_dir)
    with datadir.held(settings.data_dir, (datadir.Role.WEB,)), logging_to("warning", None):
        asyncio.run(_serve(settings, given.users))


async def _serve(settings: Settings, users: int) -> None:
    stop = stop_event()
    async with open_platform(settings, _say) as platform:
        began = time.monotonic()
        month = Month(Plan(time.time(), users)).live()
        await fill(platform.store, month)
        _say(f"{len(month.events):,} events of {len(month.users)} users in {time.monotonic() - began:.0f} s")
        await platform.first_account()
        async with platform.serving_web():
            await platform.start_edge(_say)
            _say(f"\nThe console is at {platform.address}/admin: {EMAIL}, {PASSWORD}. Ctrl-C stops it.")
            await stop.wait()
    await stop_everything(settings, _say)


def _empty(data_dir: Path) -> None:
    """What an earlier run left there. Nothing but a demonstration is removed."""
    mark = data_dir / "demo"
    if data_dir.exists() and any(data_dir.iterdir()) and not mark.exists():
        raise SystemExit(f"{data_dir} holds something else. Give an empty folder with --data-dir.")
    shutil.rmtree(data_dir, ignore_errors=True)
    data_dir.mkdir(parents=True)
    mark.touch()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
