"""CloudWatch Logs: a search of a log group by a regular expression, which moto takes for a pattern that everything matches.

Sources: the API reference, FilterLogEvents (pages may be empty although another follows; a page has up to 10,000 events or 1 MB); the
user's guide, *Filter pattern syntax* (`%…%`: letters, digits, some symbols and operators, no parentheses).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.operations import operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

EXPRESSION = re.compile(r"%([A-Za-z0-9_#=@/;,\-^$?\[\]{}|\\*+.]+)%")
MOST_EVENTS = 10_000
BEFORE = "before:"
"""How the token of the empty first page begins."""


@operation("logs", "FilterLogEvents")
def filter_log_events(account: Account, call: Call) -> Any:
    """The first page is always empty, as AWS's may be."""
    group = account.logs.groups.get(call.params["logGroupName"])
    if group is None:
        raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
    pattern = EXPRESSION.fullmatch(call.params.get("filterPattern", ""))
    if pattern is None:
        raise Refused("InvalidParameterException", "The lab searches by a regular expression only: %…%, of what AWS's guide allows.")
    token = call.params.get("nextToken")
    if token is None:
        return {"events": [], "searchedLogStreams": [], "nextToken": f"{BEFORE}0"}
    start, end = call.params.get("startTime", 0), call.params.get("endTime", float("inf"))
    matching = [
        {"logStreamName": name, "timestamp": event.timestamp, "message": event.message, "eventId": str(event.event_id)}
        for name, stream in group.streams.items() for event in stream.events
        if start <= event.timestamp <= end and re.search(pattern[1], event.message)
    ]  # fmt: skip
    matching.sort(key=lambda event: event["timestamp"])
    first, most = int(token.removeprefix(BEFORE)), min(call.params.get("limit", MOST_EVENTS), MOST_EVENTS)
    rest = {"nextToken": f"{BEFORE}{first + most}"} if first + most < len(matching) else {}
    return {"events": matching[first : first + most], "searchedLogStreams": [], **rest}
