"""Sends webhooks' messages, through the guard in front of all requests to addresses that users give."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from openclaw_hosted.adapters.fetching import AnswerTooLong
from openclaw_hosted.adapters.outgoing import FROM_PROCESSES, INTERNET_ONLY, Destination, FromHere, NotReached, Outgoing, Own, UnknownName
from openclaw_hosted.domain.addresses import ADDRESS_MAX_LENGTH
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.origins import origin_of
from openclaw_hosted.domain.webhook import Receipt

TIMEOUT_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 64 * 1024
"""Of what a receiver answers; nothing of it is looked at."""
NO_ADDRESS: Final = "Give an address such as https://example.com/hooks/openclaw, without a user name, a password or a fragment."
NOT_HTTPS: Final = "Messages name people and addresses, so they go over HTTPS only. Give an address that begins with https://."
NOT_REACHED: Final = (
    "Messages go to addresses on the internet only, and never to the platform itself. For a receiver on a private network, ask the "
    "operator to set ALLOW_PRIVATE_WEBHOOKS=true."
)
UNKNOWN: Final = "The name service does not know this address. Check its spelling."


@dataclass(frozen=True, slots=True)
class HttpWebhooks:
    """`WebhookSender` from the platform's own process. Private receivers, and plain HTTP, only where an operator allows them."""

    own: Own
    allows_private: bool = False

    async def check(self, url: str) -> None:
        if (problem := self._problem(url)) is not None:
            raise InvalidInput(FieldProblem("url", problem))
        try:
            await self._destination(url)
        except NotReached:
            raise InvalidInput(FieldProblem("url", NOT_REACHED)) from None
        except UnknownName:
            raise InvalidInput(FieldProblem("url", UNKNOWN)) from None
        except httpx.InvalidURL:
            raise InvalidInput(FieldProblem("url", NO_ADDRESS)) from None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        began = time.monotonic()
        status, error = await self._send(url, headers, body)
        return Receipt(status, time.monotonic() - began, error)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int | None, str | None]:
        if (problem := self._problem(url)) is not None:
            return None, problem
        try:
            destination = await self._destination(url)
            return (await FromHere().post(destination, headers, body, TIMEOUT_SECONDS, ANSWER_BYTES)).status, None
        except NotReached:
            return None, NOT_REACHED
        except UnknownName:
            return None, UNKNOWN
        except AnswerTooLong:
            return None, f"The address answered more than {ANSWER_BYTES // 1024} KB; an empty answer is enough."
        except httpx.TimeoutException:
            return None, f"The address did not answer within {TIMEOUT_SECONDS:.0f} seconds."
        except (httpx.HTTPError, httpx.InvalidURL):
            return None, "The address did not answer as a web server does. Check host, port and certificate."

    async def _destination(self, url: str) -> Destination:
        zones = FROM_PROCESSES if self.allows_private else INTERNET_ONLY
        return await Outgoing(zones=zones, own=self.own).destination(url)

    def _problem(self, url: str) -> str | None:
        """What is wrong with an address as it is written."""
        origin = origin_of(url)
        if origin is None or len(url) > ADDRESS_MAX_LENGTH or "#" in url or any(not "!" <= char <= "~" for char in url):
            return NO_ADDRESS
        return NOT_HTTPS if origin.scheme != "https" and not self.allows_private else None
