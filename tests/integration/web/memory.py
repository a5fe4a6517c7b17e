# ruff: noqa: ARG002 - a fake takes what its port says, and uses what it needs
"""What stands behind the web in its tests: a clock that tests move, and an edge, gateways and providers that answer at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.gateway import Channel, Credentials, GatewaySettings
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.usage import DayOfUse
from openclaw_hosted.ports.gateways import BootstrapTicket, Names, SenderRequest
from openclaw_hosted.ports.models import KeyReport, ModelList
from openclaw_hosted.ports.volumes import LargeVolume


class MemoryClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


class MemoryEdge:
    """Router, gate, gateways, volumes, sealer and key tester in one."""

    scheme = "http"

    def __init__(self) -> None:
        self.admitted: dict[str, UserId] = {}
        self.minted = 0
        self.senders: dict[str, SenderRequest] = {}
        self.settled: list[tuple[str, bool]] = []
        self.large: list[LargeVolume] = []
        self.looks_at_disk = 0
        self.log = ["2026-11-23T18:00:00Z info gateway ready", "<script>alert(1)</script>"]
        self.named: Names | None = None
        self.used: Sequence[DayOfUse] = ()
        self.has_lost_its_machine = False

    async def crowding(self) -> Sequence[LargeVolume]:
        self.looks_at_disk += 1
        return tuple(self.large)

    async def resolves(self, host: str) -> bool:
        return True

    def signs_in(self, instance_id: InstanceId) -> bool:
        return self.public_url(instance_id).startswith("https://")

    def public_url(self, instance_id: InstanceId) -> str:
        return f"{self.scheme}://localhost:8080/{instance_id}/"

    async def allow(self, session: Session) -> None:
        self.admitted[session.hash] = session.user_id

    async def revoke(self, session_hash: str) -> None:
        self.admitted.pop(session_hash, None)

    async def sessions(self) -> Mapping[str, UserId]:
        return self.admitted

    async def mint_bootstrap(self, provider_ref: str, names: Names) -> BootstrapTicket:
        self._look()
        self.named = names
        self.minted += 1
        return BootstrapTicket(f"ticket-{self.minted}", 0.0)

    async def sender_requests(self, provider_ref: str) -> Sequence[SenderRequest]:
        self._look()
        return list(self.senders.values())

    async def settle_sender(self, provider_ref: str, request_id: str, *, approve: bool) -> None:
        if self.senders.pop(request_id, None) is None:
            raise NotFound("This request is gone.")
        self.settled.append((request_id, approve))

    async def usage(self, provider_ref: str, days: int) -> Sequence[DayOfUse]:
        self._look()
        return self.used

    async def logs(self, provider_ref: str, lines: int = 200) -> Sequence[str]:
        self._look()
        return self.log[-lines:]

    def _look(self) -> None:
        if self.has_lost_its_machine:
            raise NotFound("There is no machine i-0123.")

    def seal(self, plaintext: bytes, context: str) -> bytes:
        return bytes(byte ^ 0x55 for byte in plaintext)

    def unseal(self, sealed: bytes, context: str) -> bytes:
        return bytes(byte ^ 0x55 for byte in sealed)

    async def try_model_key(self, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        return KeyReport(ok=bool(credentials), message="The provider takes this key." if credentials else "Paste the key first.")

    async def list_models(self, settings: GatewaySettings, credentials: Credentials) -> ModelList:
        report = await self.try_model_key(settings, credentials)
        return ModelList(report, ("claude-fast", "claude-large") if report.ok else ())

    async def try_channel(self, channel: Channel, credentials: Credentials) -> KeyReport:
        return KeyReport(ok=True, message="The channel takes this token.")
