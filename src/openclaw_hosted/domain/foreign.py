"""JSON that somebody else wrote: a tenant, a gateway, a model provider, a machine.

`json.loads` alone lets the writer choose how deep the reader recurses, how long it works and what it holds. This reader has a bound for
each, and what it returns can be stored, compared, merged and written again without a surprise.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

FOREIGN_BYTES: Final = 4_000_000
"""How much is read at most, unless said otherwise. OpenClaw's own configuration has some kilobytes."""
FOREIGN_DEPTH: Final = 64
"""How deep objects and arrays may stand in each other: far below what Python's recursion takes."""
WHOLE_DIGITS: Final = 18
"""A whole number of more digits becomes a float, as in JavaScript, so that none is too large for a column or a division."""
ERROR_LENGTH: Final = 1000

_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_SUSPECT: Final = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_UNFIT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")


class NotPlain(ValueError):
    """It is no JSON, or larger, deeper or stranger than anything that is meant to be read."""


def parse_foreign(body: bytes | str, limit_bytes: int = FOREIGN_BYTES) -> Any:
    """The value that `body` stands for. Raises `NotPlain`, and nothing else.

    Of equal keys the last counts. Lone surrogates and NUL become U+FFFD: neither can be stored or sent.
    """
    try:
        encoded = body.encode() if isinstance(body, str) else body
        if len(encoded) > limit_bytes or _is_too_deep(encoded):
            raise NotPlain
        text = encoded.decode("utf-8-sig")
        found = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
        return _mended(found) if _SUSPECT.search(text) else found
    except (ValueError, RecursionError, MemoryError):
        raise NotPlain from None


def foreign_object(body: bytes | str, limit_bytes: int = FOREIGN_BYTES) -> dict[str, Any] | None:
    """The object that `body` stands for; None where it is no plain JSON, or not an object."""
    try:
        found = parse_foreign(body, limit_bytes)
    except NotPlain:
        return None
    return found if isinstance(found, dict) else None


def plain_text(text: str, limit: int = ERROR_LENGTH) -> str:
    """Foreign text as it may stand in a row, a log or on a terminal: without what can't be stored or steers a terminal, and cut."""
    return _UNFIT.sub(" ", text[: limit * 2]).strip()[:limit]


def one_line(text: str, limit: int = ERROR_LENGTH) -> str:
    """As `plain_text`, on one line."""
    return " ".join(plain_text(text, limit * 2).split())[:limit]


def _is_too_deep(encoded: bytes) -> bool:
    """Without recursion: each round takes the innermost pairs away, whatever their kind, which the parser looks at."""
    brackets = _STRINGS.sub(b"", encoded).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(FOREIGN_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= WHOLE_DIGITS else _finite(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse()


def _refuse() -> NoReturn:
    raise NotPlain


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    return value
