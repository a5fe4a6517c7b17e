"""What CloudWatch Logs does of a search, and bare moto does not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import Site

GROUP = "/gateways"


def logs_with(site: Site, *lines: str) -> Any:
    """A client, and a group whose stream `i-1` holds these lines, a second apart."""
    logs, now = site.client("logs"), int(time.time() * 1000) - 60_000
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="i-1")
    events = [{"timestamp": now + 1000 * number, "message": line} for number, line in enumerate(lines)]
    logs.put_log_events(logGroupName=GROUP, logStreamName="i-1", logEvents=events)
    return logs


def test_a_regular_expression_finds_lines_on_pages_of_which_the_first_is_empty(site: Site) -> None:
    logs = logs_with(site, "401 here", "all is well", "an API key", "401 again")
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, filterPattern="%401|[Aa][Pp][Ii].?key%", limit=2))
    assert [[event["message"] for event in page["events"]] for page in pages] == [[], ["401 here", "an API key"], ["401 again"]]
    assert {event["logStreamName"] for page in pages for event in page["events"]} == {"i-1"}


def test_only_lines_of_the_time_that_was_asked_for_are_found(site: Site) -> None:
    logs = logs_with(site, "401 first", "401 second")
    found = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, filterPattern="%401%").build_full_result()["events"]
    later = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, filterPattern="%401%", startTime=found[1]["timestamp"])
    assert [event["message"] for event in later.build_full_result()["events"]] == ["401 second"]


@pytest.mark.parametrize("pattern", ["%(401)%", "%it's!%", "?401 ?key"])
def test_what_the_guide_does_not_allow_is_refused(site: Site, pattern: str) -> None:
    logs = logs_with(site, "401")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.filter_log_events(logGroupName=GROUP, filterPattern=pattern)


def test_a_group_that_is_not_there_is_told(site: Site) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        site.client("logs").filter_log_events(logGroupName="/none", filterPattern="%401%")
