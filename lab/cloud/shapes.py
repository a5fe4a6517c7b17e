"""What AWS's own models say of the parameters of a call: enumerations, patterns, ranges and lengths. Moto heeds few of them.

Source: the service models of botocore, from which the reference of each API is made. Its clients check types and lower bounds only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownServiceError

from lab.cloud.calls import Call
from lab.cloud.refused import Refused

REFUSALS: Mapping[str, str] = {
    "ec2": "InvalidParameterValue",
    "secretsmanager": "InvalidParameterException",
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
}
"""What each service calls it; `ValidationError` elsewhere, `ValidationException` where calls are JSON."""


GROWING = frozenset({"InstanceType"})
"""Enumerations that AWS extends by the month: it takes values that the SDK's model does not have yet."""


def check(call: Call) -> None:
    """Raises `Refused` for a call that does not fit its model."""
    shape = _input(call.response.service_name, call.operation)
    found = list(problems(shape, call.params, call.operation)) if shape is not None else []
    if found:
        json = "x-amz-target" in call.response.headers
        code = REFUSALS.get(call.response.service_name, "ValidationException" if json else "ValidationError")
        raise Refused(code, f"{len(found)} validation errors: {'; '.join(found)}")


def problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    """What of a value does not fit a shape of botocore."""
    if value is None:
        return
    yield from CHECKS.get(shape.type_name, _nothing)(shape, value, path)


def _nothing(shape: Any, value: Any, path: str) -> Iterator[str]:
    del shape, value, path
    yield from ()


def _structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    for name, each in value.items() if isinstance(value, Mapping) else ():
        if name in shape.members:
            yield from problems(shape.members[name], each, f"{path}.{name}")


def _list(shape: Any, value: Any, path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), f"number of {path}")
    for each in value:
        yield from problems(shape.member, each, path)


def _map(shape: Any, value: Any, path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), f"number of {path}")
    for key, each in value.items():
        yield from problems(shape.key, key, path)
        yield from problems(shape.value, each, f"{path}.{key}")


def _string(shape: Any, value: Any, path: str) -> Iterator[str]:
    text = str(value)
    if shape.enum and shape.name not in GROWING and text not in shape.enum:
        yield f"{path} is {text[:40]!r} and none of {', '.join(shape.enum)[:200]}"
    yield from _bounds(shape, len(text), f"length of {path}")
    pattern = _pattern(shape.metadata.get("pattern"))
    if pattern is not None and not pattern.fullmatch(text):
        yield f"{path} is {text[:40]!r}, which does not match {pattern.pattern}"


def _number(shape: Any, value: Any, path: str) -> Iterator[str]:
    yield from _bounds(shape, float(value), path)


def _bounds(shape: Any, found: float, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and found < float(least):
        yield f"{what} is {found:g}, less than {least}"
    if most is not None and found > float(most):
        yield f"{what} is {found:g}, more than {most}"


CHECKS: Mapping[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _number,
    "long": _number,
    "float": _number,
    "double": _number,
}


@cache
def _pattern(text: str | None) -> re.Pattern[str] | None:
    """None for those that Python does not know, such as Unicode categories."""
    try:
        return re.compile(text) if text else None
    except re.error:
        return None


@cache
def _input(service: str, operation: str) -> Any:
    try:
        return _session().get_service_model(service).operation_model(operation).input_shape
    except UnknownServiceError:
        return None


@cache
def _session() -> Any:
    return botocore.session.Session()
