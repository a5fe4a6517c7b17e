"""What gateways printed, all of them at once: a search of the CloudWatch group that their containers log to.

A stream is named by its machine. All machines may write into all streams (decision 37), so that a line found here is a hint, and no proof.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.openclaw.logs import readable, redact
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.loglines import read_lines
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import Seat

MOST_PAGES: Final = 20
"""Of one search; AWS may give empty ones."""
MOST_LINES: Final = 200
"""Of one gateway, the newest."""
LINE_LENGTH: Final = 4000


class LogSearch:
    """Searches one log group."""

    def __init__(self, sdk: Sdk, group: str) -> None:
        self._sdk = sdk
        self._group = group

    async def lines(self, seats: Sequence[Seat], pattern: str, since: float) -> Mapping[InstanceId, Sequence[str]]:
        """See `Gateways.find_lines`. Raises `Unavailable` where there is more than `MOST_PAGES` pages."""
        instances = {seat.provider_ref: seat.instance_id for seat in seats}
        found: dict[InstanceId, deque[str]] = defaultdict(lambda: deque(maxlen=MOST_LINES))
        asked = {"logGroupName": self._group, "startTime": int(since * 1000), "filterPattern": f"%{pattern}%"}
        pages = 0
        async for page in self._sdk.pages(Call.FILTER_LOGS, **asked):
            pages += 1
            for event in page.get("events", ()):
                instance_id = instances.get(str(event.get("logStreamName")))
                if instance_id is not None:
                    found[instance_id].append(_line(event))
            if pages == MOST_PAGES and page.get("nextToken"):
                raise Unavailable(f"The log group {self._group} has more lines of this kind than are read at once.")
        return {instance_id: tuple(lines) for instance_id, lines in found.items()}


def _line(event: Mapping[str, Any]) -> str:
    """As people read it, with the time at which it was printed where it does not say one itself."""
    text = redact(readable(str(event.get("message", ""))[:LINE_LENGTH]), ())
    if any(line.at is not None for line in read_lines([text])):
        return text
    return f"{datetime.fromtimestamp(int(event.get('timestamp', 0)) / 1000, UTC):%Y-%m-%d %H:%M:%S} {text}"
