"""How much a gateway says that it has used. All of it is a tenant's word, read within bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from openclaw_hosted.adapters.openclaw.rpc import GatewayClient, RpcRefused
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.usage import DayOfUse

METHOD: Final = "usage.cost"
MOST_TOKENS: Final = 10**15
MOST_USD: Final = 1e9
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


async def usage(client: GatewayClient, days: int) -> Sequence[DayOfUse]:
    """The newest days, the oldest of them first. Raises `Unavailable` where OpenClaw does not say."""
    try:
        said = await client.admin(METHOD, {"days": days, "mode": "utc", "agentScope": "all"})
    except RpcRefused as problem:
        raise Unavailable(f"OpenClaw does not say what it used: {problem}") from problem
    daily = said.get("daily")
    if not isinstance(daily, list):
        raise Unavailable("OpenClaw said what it used in a way that is not understood.")
    return [_day(entry) for entry in daily[-days:] if _has_date(entry)]


def _has_date(entry: Any) -> bool:
    return isinstance(entry, dict) and _DATE.fullmatch(str(entry.get("date"))) is not None


def _day(entry: dict[str, Any]) -> DayOfUse:
    return DayOfUse(str(entry["date"]), int(_amount(entry.get("totalTokens"), MOST_TOKENS)), _amount(entry.get("totalCost"), MOST_USD))


def _amount(value: Any, most: float) -> float:
    """A number between 0 and `most`; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return float(min(max(value, 0), most))
