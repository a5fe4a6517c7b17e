"""Try a key before it is kept."""

from __future__ import annotations

from typing import Final

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.gateway import Channel, Credentials, GatewaySettings
from openclaw_hosted.domain.quota import Quota
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.models import KeyReport, KeyTester, ModelList
from openclaw_hosted.services.limits import AttemptLimiter

TESTS_PER_WINDOW: Final = 30
WINDOW_SECONDS: Final = 300.0


class KeyService:
    """Tests of keys, so few for each user that nobody can try stolen ones by the thousand from here."""

    def __init__(self, tester: KeyTester, clock: Clock) -> None:
        self._tester = tester
        refusal = "Too many keys tested. Wait five minutes, then try again."
        self._limiter = AttemptLimiter("key-tests", clock, TESTS_PER_WINDOW, WINDOW_SECONDS, refusal)

    def quota(self, actor: Actor) -> Quota:
        """How many tests the actor has left."""
        return self._limiter.quota(actor.user_id)

    async def try_model_key(self, actor: Actor, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        """Whether the model provider takes the key. Raises `LimitReached`."""
        self._count(actor)
        return await self._tester.try_model_key(settings, credentials)

    async def list_models(self, actor: Actor, settings: GatewaySettings, credentials: Credentials) -> ModelList:
        """The models that the provider offers to this key. Counts as a test of it. Raises `LimitReached`."""
        self._count(actor)
        return await self._tester.list_models(settings, credentials)

    async def try_channel(self, actor: Actor, channel: Channel, credentials: Credentials) -> KeyReport:
        """Whether the channel takes its tokens. Raises `LimitReached`."""
        self._count(actor)
        return await self._tester.try_channel(channel, credentials)

    def _count(self, actor: Actor) -> None:
        self._limiter.take(actor.user_id)
