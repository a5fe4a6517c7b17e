"""Decisions of IAM policies: actions, resources, conditions and variables, explicit denials first."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

Context = Mapping[str, str | Sequence[str]]
"""Condition keys in lower case; a key that does not apply is absent."""
VARIABLE = re.compile(r"\$\{([^}]+)\}")


class Decision(Enum):
    """What policies say of a request. `SILENT`, that none speaks of it, is a denial as well."""

    ALLOWED = "allowed"
    DENIED = "denied"
    SILENT = "silent"


@dataclass(frozen=True)
class Request:
    """Something that somebody wants to do to one resource."""

    action: str
    resource: str
    context: Context
    principals: frozenset[str] = frozenset()
    """What a resource policy may call who asks: ARNs."""


def decide(documents: Iterable[Mapping[str, Any]], request: Request) -> Decision:
    """Of all documents together. Raises `ValueError` for a condition that the lab does not know."""
    found = Decision.SILENT
    for document in documents:
        for statement in _list(document.get("Statement")):
            if not _applies(statement, request):
                continue
            if statement["Effect"] == "Deny":
                return Decision.DENIED
            found = Decision.ALLOWED
    return found


def parsed(document: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """A document that may be text."""
    return json.loads(document) if isinstance(document, str) else document


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _of_principal(statement, request)
        and _of_action(statement, request.action)
        and _of_resource(statement, request)
        and all(
            _holds(operator, key, _list(values), request.context)
            for operator, keys in (statement.get("Condition") or {}).items()
            for key, values in keys.items()
        )
    )


def _of_principal(statement: Mapping[str, Any], request: Request) -> bool:
    if "Principal" not in statement:
        return True
    principal = statement["Principal"]
    named = _list(principal.get("AWS")) if isinstance(principal, Mapping) else _list(principal)
    return any(each == "*" or each in request.principals for each in named)


def _of_action(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(like(action.lower(), each.lower()) for each in _list(statement["NotAction"]))
    return any(like(action.lower(), each.lower()) for each in _list(statement.get("Action")))


def _of_resource(statement: Mapping[str, Any], request: Request) -> bool:
    if "NotResource" in statement:
        return not any(_resource_fits(each, request) for each in _list(statement["NotResource"]))
    return any(_resource_fits(each, request) for each in _list(statement.get("Resource", "*")))


def _resource_fits(pattern: str, request: Request) -> bool:
    filled = fill(pattern, request.context)
    return filled is not None and like(request.resource, filled)


def fill(text: str, context: Context) -> str | None:
    """A text with its policy variables replaced; None where one has no single value."""
    for name in VARIABLE.findall(text):
        value = context.get(name.lower())
        if not isinstance(value, str):
            return None
        text = text.replace(f"${{{name}}}", value)
    return text


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def like(value: str, pattern: str) -> bool:
    """Whether a value fits a pattern with `*` and `?`."""
    return _pattern(pattern).match(value) is not None


def _equals(value: str, wanted: str) -> bool:
    return value == wanted


def _equals_in_any_case(value: str, wanted: str) -> bool:
    return value.lower() == wanted.lower()


def _arn_like(value: str, wanted: str) -> bool:
    """Each of an ARN's six parts is matched by itself."""
    parts, patterns = value.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) and all(like(part, pattern) for part, pattern in zip(parts, patterns, strict=True))


OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equals, True),
    "StringNotEquals": (_equals, False),
    "StringEqualsIgnoreCase": (_equals_in_any_case, True),
    "StringLike": (like, True),
    "StringNotLike": (like, False),
    "ArnEquals": (_arn_like, True),
    "ArnNotEquals": (_arn_like, False),
    "ArnLike": (_arn_like, True),
    "ArnNotLike": (_arn_like, False),
    "Bool": (_equals_in_any_case, True),
}
"""What compares one value, and whether one that fits is wanted."""


def _holds(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    found = context.get(key.lower())
    if name == "Null":
        return (found is None) == (str(wanted[0]).lower() == "true")
    if name not in OPERATORS or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise ValueError(f"the lab has no condition operator {operator}")
    compare, positive = OPERATORS[name]
    if found is None:
        return if_exists or not positive or quantifier == "ForAllValues"
    values = [found] if isinstance(found, str) else list(found)
    filled = [text for each in wanted if (text := fill(_text(each), context)) is not None]
    fits = [any(compare(value, text) for text in filled) is positive for value in values]
    return all(fits) if quantifier == "ForAllValues" or not positive else any(fits)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
