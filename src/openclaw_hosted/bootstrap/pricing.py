"""Prices that were read of AWS, kept beside the platform's data: PRICES_FILE in the data directory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from openclaw_hosted.adapters.local.files import read_json, write_json
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.prices import Kind
from openclaw_hosted.settings_aws import load_machine_settings

PRICES_FILE: Final = "prices.json"
READABLE: Final = 0o644
MOST_USD: Final = 1000.0


@dataclass(frozen=True, slots=True)
class ReadPrices:
    """US dollars by kind, for machines of one type in one region, and when they were read (seconds since the epoch)."""

    at: float
    region: str
    instance_type: str
    prices: dict[Kind, float]


async def refresh_prices(data_dir: Path, region: str) -> ReadPrices:
    """Read them of AWS, with the credentials of whoever asks, and keep them. Raises `PortError`, and changes nothing then."""
    from openclaw_hosted.adapters.aws.client import AwsSdk
    from openclaw_hosted.adapters.aws.pricing import LIST_REGION, read_prices

    clock, ids, endpoint = SystemClock(), SystemIds(), os.environ.get("AWS_ENDPOINT_URL") or None
    instance_type, now = load_machine_settings().instance_type, clock.now()
    async with aclosing(AwsSdk(LIST_REGION, clock, ids, endpoint)) as price_list, aclosing(AwsSdk(region, clock, ids, endpoint)) as there:
        found = ReadPrices(now, region, instance_type, dict(await read_prices(price_list, there, region, instance_type, now)))
    body = {
        "at": found.at,
        "region": region,
        "instance_type": instance_type,
        "prices": {kind.name: usd for kind, usd in found.prices.items()},
    }
    await asyncio.to_thread(_keep, data_dir, body)
    return found


def _keep(data_dir: Path, body: dict[str, Any]) -> None:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_json(data_dir / PRICES_FILE, body, READABLE)


def kept_prices(data_dir: Path) -> ReadPrices | None:
    """Those that were read last; None where none were, or the file holds something else."""
    body: dict[str, Any] = read_json(data_dir / PRICES_FILE) or {}
    try:
        prices = {Kind[name]: float(usd) for name, usd in body["prices"].items()}
        found = ReadPrices(float(body["at"]), str(body["region"]), str(body["instance_type"]), prices)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if all(0 < usd <= MOST_USD for usd in prices.values()) else None


def with_read_prices(deployment: Deployment, read: ReadPrices | None, given: Collection[str]) -> Deployment:
    """The deployment at these prices; those of machines where they are of its type, and are not `given` by the settings."""
    if read is None:
        return deployment
    fields = {"spot_price": Kind.SPOT_MACHINE, "on_demand_price": Kind.ON_DEMAND_MACHINE}
    machine: dict[str, Any] = {
        name: read.prices[kind]
        for name, kind in fields.items()
        if read.instance_type == deployment.instance_type and kind in read.prices and name not in given
    }
    return replace(deployment, prices={**read.prices, **deployment.prices}, **machine)
