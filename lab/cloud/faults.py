"""Knobs that make the emulated API fail as AWS does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from lab.cloud.buckets import AwsBuckets
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.calls import Call

T = TypeVar("T")
Hook = Callable[["Call", str], None]
"""Called with `before` and `after` each call's effect, on the thread that serves it. Raise `Refused` to refuse the call."""

THROTTLED: Mapping[str, str] = {
    "ec2": "RequestLimitExceeded",
    "elasticloadbalancing": "Throttling",
    "iam": "Throttling",
    "sts": "Throttling",
    "monitoring": "Throttling",
    "cloudwatch": "Throttling",
}
"""What each service calls it; `ThrottlingException` elsewhere."""


class Loss(StrEnum):
    """How an answer is lost, once the call has had its effect."""

    CUT = "cut"
    """The connection ends without an answer."""
    ERROR = "error"
    """The service answers 500."""


class AnswerLost(Exception):
    """The effect is done; nobody is told."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self.loss = loss


@dataclass
class Faults:
    """What goes wrong next. Actions are named as IAM names them: `ec2:RunInstances`."""

    buckets: AwsBuckets | None = None
    """Throttling as AWS has it; none unless it is set."""
    capacity: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """How many more machines of a type (`t3.small`) in a zone as `spot` or `on-demand` can be had; no limit where absent."""
    hook: Hook | None = None
    _errors: dict[str, list[Refused]] = field(default_factory=dict)
    _losses: dict[str, list[Loss]] = field(default_factory=dict)
    _delays: dict[str, list[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def throttle(self, action: str, calls: int = 1) -> None:
        """Refuse the next calls of an action for their number."""
        code = throttle_code(action)
        self.fail(action, code, "Request limit exceeded." if code == "RequestLimitExceeded" else "Rate exceeded", calls=calls)

    def fail(self, action: str, code: str, message: str = "made to fail", *, calls: int = 1) -> None:
        """Answer the next calls of an action with an error, without effect."""
        with self._lock:
            self._errors.setdefault(action, []).extend([Refused(code, message)] * calls)

    def lose(self, action: str, loss: Loss = Loss.CUT, *, calls: int = 1) -> None:
        """Have the next calls of an action take effect, and lose the answer."""
        with self._lock:
            self._losses.setdefault(action, []).extend([loss] * calls)

    def delay(self, action: str, seconds: float) -> None:
        """Let the next call of an action wait before its effect."""
        with self._lock:
            self._delays.setdefault(action, []).append(seconds)

    def calm(self) -> None:
        """Take back all that has not come to pass."""
        with self._lock:
            for due in (self._errors, self._losses, self._delays):
                due.clear()
            self.capacity.clear()
            self.hook = None

    def before(self, call: Call) -> None:
        """Raises what is due before the effect."""
        with self._lock:
            seconds = _next(self._delays, call.action)
            error = _next(self._errors, call.action)
            throttled = self.buckets is not None and not self.buckets.take(call)
        if seconds:
            time.sleep(seconds)
        if error is not None:
            raise error
        if throttled:
            raise Refused(throttle_code(call.action), "Rate exceeded")
        if self.hook is not None:
            self.hook(call, "before")

    def after(self, call: Call) -> None:
        """Raises `AnswerLost` where it is due."""
        if self.hook is not None:
            self.hook(call, "after")
        with self._lock:
            loss = _next(self._losses, call.action)
        if loss is not None:
            raise AnswerLost(loss)

    def take_capacity(self, instance_type: str, zone: str, market: str) -> bool:
        """Use one machine's worth of capacity; False where there is none left."""
        key = (instance_type, zone, market)
        with self._lock:
            left = self.capacity.get(key)
            if left is None:
                return True
            if left < 1:
                return False
            self.capacity[key] = left - 1
            return True


def throttle_code(action: str) -> str:
    """The error code by which a service refuses too many calls."""
    return THROTTLED.get(action.partition(":")[0], "ThrottlingException")


def _next(due: dict[str, list[T]], action: str) -> T | None:
    queue = due.get(action)
    return queue.pop(0) if queue else None
