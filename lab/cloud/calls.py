"""What a call is, and the record of all of them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

PREFIXES: Mapping[str, str] = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
"""From moto's name of a service to IAM's, where they differ."""

RESOURCE = re.compile(r"^(arn:aws[a-z-]*:\S+|(i|vol|lt|eni|snap|sg|subnet|vpc|fleet|ami)-[0-9a-f]{8,})$")
IDENTIFYING = frozenset({"SecretId", "Name", "Names", "CommandId", "LaunchTemplateName", "repositoryName", "RoleName", "AlarmName"})
ERROR_XML = re.compile(r"<Code>([^<]+)</Code>")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a call."""

    access_key: str
    instance_id: str | None = None
    """Of the machine whose role credentials these are."""
    role_name: str | None = None

    @property
    def name(self) -> str:
        """The instance id of a machine, the name of any other role, `account` for the account's own keys without one."""
        return self.instance_id or self.role_name or "account"


@dataclass
class Call:
    """One call of the API while it is served."""

    action: str
    """As IAM names it: `ec2:RunInstances`."""
    params: Mapping[str, Any]
    caller: Caller
    response: Any = field(repr=False)
    """Moto's own object for this request."""
    error: str | None = None
    began_at: float = field(default_factory=time.time)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def operation(self) -> str:
        """Without the service."""
        return self.action.partition(":")[2]

    def done(self) -> Done:
        """What is kept of it."""
        named = tuple(dict.fromkeys(resources(self.params)))
        return Done(self.action, named, self.caller.name, self.error, self.began_at, self.seconds, self.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Done:
    """A call that was answered, or whose answer was lost."""

    action: str
    resources: tuple[str, ...]
    """Ids, ARNs and names among the parameters."""
    caller: str
    """See `Caller.name`."""
    error: str | None
    began_at: float
    """When it arrived, in seconds since the epoch."""
    seconds: float
    cpu_seconds: float
    """What the lab itself worked for it, however busy the computer was."""


class Calls:
    """Every call, oldest first."""

    def __init__(self) -> None:
        self._calls: list[Done] = []
        self._lock = Lock()

    def add(self, call: Done) -> None:
        """Keep one more."""
        with self._lock:
            self._calls.append(call)

    def __iter__(self) -> Iterator[Done]:
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._calls.clear()

    def of(self, action: str) -> list[Done]:
        """Those of one action."""
        return [call for call in self if call.action == action]

    def counts(self) -> Counter[str]:
        """How often each action was called."""
        return Counter(call.action for call in self)


def action_of(service: str, operation: str) -> str:
    """As IAM names it, from moto's name of a service."""
    return f"{PREFIXES.get(service, service)}:{operation}"


def parameters(response: Any) -> Mapping[str, Any]:
    """What a request asks, as the service's model names it."""
    if response.automated_parameter_parsing:
        params: Mapping[str, Any] = response.params
        return params
    try:
        parsed = json.loads(response.body or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def error_code(status: int, body: str | bytes) -> str | None:
    """Of an answer; None for one that is no error."""
    if status < 400:
        return None
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    if found := ERROR_XML.search(text):
        return found[1]
    try:
        kind = str(json.loads(text).get("__type", status))
    except (ValueError, AttributeError):
        return str(status)
    return kind.rpartition("#")[2]


def resources(params: Mapping[str, Any]) -> Iterator[str]:
    """Every id, ARN and identifying name among parameters."""
    for key, value in params.items():
        yield from _resources(key, value)


def _resources(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from resources(value)
    elif isinstance(value, list):
        for item in value:
            yield from _resources(key, item)
    elif isinstance(value, str) and (key in IDENTIFYING or RESOURCE.match(value)):
        yield value
