"""Requests to what is not ours: a gateway, which its tenant may have replaced, or a model provider.

The answer is read as it comes, up to a number of bytes and within a time that counts for all of it: an answer may trickle, never end, or
unpack to far more than was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from openclaw_hosted.domain.foreign import FOREIGN_BYTES

TRICKLE_SECONDS: Final = 1.0
"""How much longer an answer may take than its first byte: httpx, which knows of its connections, comes first."""


class AnswerTooLong(httpx.HTTPError):
    """More came than anything that is asked for has."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes


async def fetch(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    limit_bytes: int = FOREIGN_BYTES,
    **request: Any,
) -> Answer:
    """One request and all of its answer. Raises `httpx.HTTPError`: a time-out after `seconds` of silence, or a little more in all,
    and `AnswerTooLong`.

    `request` is passed on to httpx. An answer that is compressed all the same is not unpacked.
    """
    body = bytearray()
    try:
        async with (
            asyncio.timeout(seconds + TRICKLE_SECONDS),
            http.stream(method, url, headers={**(headers or {}), "Accept-Encoding": "identity"}, timeout=seconds, **request) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit_bytes:
                    raise AnswerTooLong("too long an answer")
            return Answer(response.status_code, bytes(body))
    except TimeoutError:
        raise httpx.ReadTimeout("the whole answer took too long") from None
