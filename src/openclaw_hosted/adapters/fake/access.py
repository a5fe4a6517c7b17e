"""Fake vault, sealer, router and gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeSecret
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credentials
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.router import Route, Target


class FakeVault:
    """`Vault` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def put(self, instance_id: InstanceId, document: Credentials, revision: int) -> None:
        await self._cloud.begin("vault.put")
        present = self._cloud.secrets.get(instance_id)
        if present is not None and present.revision > revision:
            raise Conflict("A newer revision is stored.")
        granted = present.granted_to if present is not None else None
        self._cloud.secrets[instance_id] = FakeSecret(dict(document), revision, granted)
        await self._cloud.end("vault.put")

    async def get(self, instance_id: InstanceId) -> Credentials:
        await self._cloud.begin("vault.get")
        secret = self._cloud.secrets.get(instance_id)
        if secret is None or secret.retired:
            raise NotFound("There is no such document.")
        return dict(secret.document)

    async def grant(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        await self._cloud.begin("vault.grant")
        self._secret(instance_id).granted_to = machine_id
        await self._cloud.end("vault.grant")

    async def retire(self, instance_id: InstanceId) -> None:
        await self._cloud.begin("vault.retire")
        if instance_id in self._cloud.secrets:
            self._cloud.secrets[instance_id].retired = True
        await self._cloud.end("vault.retire")

    async def restore(self, instance_id: InstanceId) -> None:
        await self._cloud.begin("vault.restore")
        self._secret(instance_id).retired = False
        await self._cloud.end("vault.restore")

    async def purge(self, instance_id: InstanceId) -> None:
        await self._cloud.begin("vault.purge")
        self._cloud.secrets.pop(instance_id, None)
        await self._cloud.end("vault.purge")

    async def list(self) -> Sequence[InstanceId]:
        return list(self._cloud.secrets)

    def _secret(self, instance_id: InstanceId) -> FakeSecret:
        if instance_id not in self._cloud.secrets:
            raise NotFound("There is no such document.")
        return self._cloud.secrets[instance_id]


class FakeSealer:
    """`Sealer` that binds to its context, without secrecy."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        return context.encode() + b"|" + plaintext[::-1]

    def unseal(self, sealed: bytes, context: str) -> bytes:
        bound_to, _, reversed_text = sealed.partition(b"|")
        if bound_to != context.encode():
            raise Denied("It was sealed for something else.")
        return reversed_text[::-1]


class FakeRouter:
    """`Router` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def prepare(self, instance_id: InstanceId, target: Target) -> None:
        await self._cloud.begin("router.prepare")
        route = Route(instance_id, target.machine_id, None)
        if instance_id not in self._cloud.routes or self._cloud.routes[instance_id][0].owner_id is None:
            self._cloud.routes[instance_id] = (route, target.address)
        await self._cloud.end("router.prepare")

    async def bind(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        await self._cloud.begin("router.bind")
        present = self._cloud.routes.get(instance_id)
        if present is not None and present[0].owner_id is not None and present[0].generation > generation:
            raise Conflict("A newer generation is bound.")
        self._cloud.routes[instance_id] = (Route(instance_id, target.machine_id, owner_id, generation), target.address)
        await self._cloud.end("router.bind")

    async def release(self, instance_id: InstanceId) -> None:
        await self._cloud.begin("router.release")
        self._cloud.routes.pop(instance_id, None)
        await self._cloud.end("router.release")

    async def probe(self, instance_id: InstanceId, target: Target) -> None:
        await self._cloud.begin("router.probe")
        route = self._cloud.routes.get(instance_id)
        if route is None or route[1] != target.address or target.provider_ref not in self._cloud.machines:
            raise Unavailable("The route does not lead to the gateway.")

    async def list(self) -> Sequence[Route]:
        return [route for route, _ in self._cloud.routes.values()]

    def public_url(self, instance_id: InstanceId) -> str:
        return f"https://fake.example.com/{instance_id}/"


class FakeGate:
    """`Gate` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def admit(self, session: Session) -> None:
        self._cloud.sessions[session.hash] = session

    async def dismiss(self, session_hash: str) -> None:
        self._cloud.sessions.pop(session_hash, None)

    async def sessions(self) -> Mapping[str, UserId]:
        return {key: session.user_id for key, session in self._cloud.sessions.items()}
