"""Where the lab enters moto: one hook around every call, and a table of operations that replace moto's or add to them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.core import responses as moto_responses
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores, method_names_from_class

from lab.cloud.calls import Call, Caller, action_of, error_code, parameters
from lab.cloud.faults import AnswerLost, Loss
from lab.cloud.fleet import look
from lab.cloud.refused import Refused
from lab.cloud.shapes import check

if TYPE_CHECKING:
    from lab.cloud.account import Account

Handler = Callable[["Account", Call], Any]
"""Answers with a mapping of the service's model, or with what `moto(call)` gave. Raises `ServiceException` to refuse."""
Answer = tuple[int, dict[str, Any], str | bytes]

CUT = "lab.cut"
"""In the WSGI environment of a request whose connection is to end without an answer."""
ACCOUNT = "lab.account"
"""In the WSGI environment: the account whose server took the request."""
BODY = "lab.body"
"""In the WSGI environment: the request's body as it came, which moto has read."""
STATUS = {"RequestLimitExceeded": 503, "InternalError": 500, "InternalFailure": 500, "InsufficientInstanceCapacity": 500}
LOCKLESS = frozenset({"sqs"})
"""Moto serves these without the account's lock: ReceiveMessage waits."""


@dataclass(frozen=True)
class Operation:
    """One operation of the lab's own."""

    service: str
    name: str
    handler: Handler
    locked: bool


OPERATIONS: dict[tuple[str, str], Operation] = {}
_call_action = BaseResponse.call_action


def operation(service: str, name: str, *, locked: bool = True) -> Callable[[Handler], Handler]:
    """Have a function answer an operation in moto's place. One that is not `locked` takes the account's lock itself, for moto's part."""

    def add(handler: Handler) -> Handler:
        OPERATIONS[service, name] = Operation(service, name, handler, locked)
        return handler

    return add


def moto(call: Call) -> Any:
    """What moto itself does for this call."""
    own = ORIGINALS[type(call.response), camelcase_to_underscores(call.operation)]
    return own(call.response)


ORIGINALS: dict[tuple[type, str], Any] = {}


def install(classes: dict[str, type]) -> None:
    """Hook into moto, and put the table's operations into its response classes, by service."""
    if BaseResponse.call_action is _call_action:
        BaseResponse.call_action = _served
        moto_responses.method_names_from_class = cache(method_names_from_class)
    for item in OPERATIONS.values():
        cls, method = classes[item.service], camelcase_to_underscores(item.name)
        if (cls, method) not in ORIGINALS:
            ORIGINALS[cls, method] = getattr(cls, method, None)
            setattr(cls, method, _method(item))


def _method(item: Operation) -> Callable[[Any], Any]:
    def answer(response: Any) -> Any:
        result = item.handler(response.lab_account, response.lab_call)
        return result if isinstance(result, ActionResult | str | tuple) else ActionResult(result)

    return answer


def _served(response: Any) -> Answer:
    account = getattr(response.normalized_request, "environ", {}).get(ACCOUNT)
    name = response._get_action()  # noqa: SLF001
    if account is None or not name:
        answer: Answer = _call_action(response)
        return answer
    call = Call(action_of(response.service_name, name), parameters(response), Caller(response.access_key), response)
    response.lab_account, response.lab_call = account, call
    started, worked = time.monotonic(), time.thread_time()
    try:
        return _carried_out(account, call)
    finally:
        call.seconds, call.cpu_seconds = time.monotonic() - started, time.thread_time() - worked
        account.calls.add(call.done())


def _carried_out(account: Account, call: Call) -> Answer:
    response = call.response
    try:
        account.admit(call)
        check(call)
        account.latencies.wait(call.action)
        account.faults.before(call)
        answer = _effect(account, call)
        call.error = error_code(answer[0], answer[2])
        account.faults.after(call)
    except ServiceException as error:
        call.error = error.code
        return refusal(response, error)
    except AnswerLost as lost:
        call.error = f"lost:{lost.loss}"
        if lost.loss is Loss.CUT:
            response.normalized_request.environ[CUT] = True
        return refusal(response, Refused("InternalError", "An internal error has occurred"))
    except Exception as error:  # noqa: BLE001 -- a fault of the lab's own must not look like a cut connection
        account.crashes.append(traceback.format_exc())
        call.error = f"crash:{type(error).__name__}"
        return refusal(response, Refused("InternalFailure", f"The lab itself failed: {error!r}"))
    return answer


def _effect(account: Account, call: Call) -> Answer:
    response = call.response
    own = OPERATIONS.get((response.service_name, call.operation))
    if own is None and not hasattr(response, camelcase_to_underscores(call.operation)):
        raise Refused("InvalidAction", f"The lab has no {call.action}.")
    if own is not None:
        look(account)
    unlocked = response.service_name in LOCKLESS or (own is not None and not own.locked)
    with nullcontext() if unlocked else account.lock:
        answer: Answer = _call_action(response)
        return answer


def refusal(response: Any, error: ServiceException) -> Answer:
    """An error as this service answers it."""
    status, headers, body = response.serialized(ActionResult(error))
    return STATUS.get(error.code, status), headers, body
