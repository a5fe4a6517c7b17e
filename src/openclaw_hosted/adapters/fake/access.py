"""Fake vault, sealer, router and gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeRoute, FakeSecret
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credentials
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.domain.record import InstanceRecord
from openclaw_hosted.ports.router import Route, Target
from openclaw_hosted.ports.vault import Deposit


class FakeVault:
    """`Vault` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def put(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None = None) -> None:
        async with self._cloud.call("vault.put"):
            present = self._cloud.secrets.get(instance_id)
            if present is not None and present.revision > revision:
                raise Conflict("A newer revision is stored.")
            granted, kept = (present.granted_to, present.record) if present is not None else (None, None)
            self._cloud.secrets[instance_id] = FakeSecret(dict(document), revision, granted, record=record or kept)

    async def look(self, instance_id: InstanceId) -> Deposit:
        async with self._cloud.call("vault.look"):
            found = self._secret(instance_id)
            owner_id = None if found.record is None else found.record.owner_id
            return Deposit(instance_id, found.revision, frozenset(found.document), found.record, owner_id, found.retired)

    async def get(self, instance_id: InstanceId, *, fresh: bool = False) -> Credentials:  # noqa: ARG002 - it always is
        async with self._cloud.call("vault.get"):
            secret = self._secret(instance_id)
            if secret.retired:
                raise NotFound("The document is retired.")
            return dict(secret.document)

    async def grant(self, instance_id: InstanceId, provider_ref: str) -> None:
        async with self._cloud.call("vault.grant"):
            self._secret(instance_id).granted_to = provider_ref

    async def retire(self, instance_id: InstanceId) -> None:
        async with self._cloud.call("vault.retire"):
            if instance_id in self._cloud.secrets:
                self._cloud.secrets[instance_id].retired = True

    async def restore(self, instance_id: InstanceId) -> None:
        async with self._cloud.call("vault.restore"):
            self._secret(instance_id).retired = False

    async def purge(self, instance_id: InstanceId) -> None:
        async with self._cloud.call("vault.purge"):
            self._cloud.secrets.pop(instance_id, None)

    async def list(self) -> Sequence[InstanceId]:
        async with self._cloud.call("vault.list"):
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
    """`Router` in memory. `address` is the platform's own."""

    def __init__(self, cloud: FakeCloud, address: str = "https://fake.example.com") -> None:
        self._cloud = cloud
        self._address = address

    async def prepare(self, instance_id: InstanceId, target: Target) -> None:
        async with self._cloud.call("router.prepare"):
            present = self._cloud.routes.get(instance_id)
            if present is None or present.route.owner_id is None:
                self._cloud.groups.add(target.machine_id)
                self._cloud.routes[instance_id] = FakeRoute(Route(instance_id, target.machine_id, None), target.address)

    async def bind(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        async with self._cloud.call("router.bind"):
            present = self._cloud.routes.get(instance_id)
            if present is not None and present.route.owner_id is not None and present.route.generation > generation:
                raise Conflict("A newer generation is bound.")
            self._cloud.held.discard(instance_id)
            self._cloud.groups.add(target.machine_id)
            self._cloud.routes[instance_id] = FakeRoute(Route(instance_id, target.machine_id, owner_id, generation), target.address)

    async def confirm(self, instance_id: InstanceId) -> None:
        """It leads there at once."""

    async def mark(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        async with self._cloud.call("router.mark"):
            present = self._cloud.routes.get(instance_id)
            if present is None or present.route.machine_id != target.machine_id:
                raise Unavailable("The route does not lead to the machine.")
            if (present.route.owner_id, present.route.generation) != (owner_id, generation):
                raise Conflict("Another generation is bound.")

    async def hold(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        async with self._cloud.call("router.hold"):
            present = self._cloud.routes.get(instance_id)
            if present is not None and present.route.owner_id is not None and present.route.machine_id == machine_id:
                self._cloud.held.add(instance_id)

    async def release(self, instance_id: InstanceId) -> None:
        async with self._cloud.call("router.release"):
            self._cloud.held.discard(instance_id)
            gone = self._cloud.routes.pop(instance_id, None)
            if gone is not None:
                self._cloud.groups.discard(gone.route.machine_id)

    async def probe(self, instance_id: InstanceId, target: Target) -> None:
        async with self._cloud.call("router.probe"):
            found = self._cloud.routes.get(instance_id)
            machine = self._cloud.machines.get(target.provider_ref)
            leads_there = found is not None and found.route.owner_id is not None and found.address == target.address
            leads_there = leads_there and instance_id not in self._cloud.held
            if not leads_there or machine is None or not self._cloud.ready(machine):
                raise Unavailable("The route does not lead to the gateway.")

    async def list(self) -> Sequence[Route]:
        async with self._cloud.call("router.list"):
            return [replace(found.route, address=found.address) for found in self._cloud.routes.values()]

    async def machines(self) -> Sequence[MachineId]:
        async with self._cloud.call("router.machines"):
            return sorted(self._cloud.groups)

    async def forget(self, machine_id: MachineId) -> None:
        async with self._cloud.call("router.forget"):
            self._cloud.groups.discard(machine_id)

    def signs_in(self, instance_id: InstanceId) -> bool:  # noqa: ARG002 - all are at the platform's own address
        return self._address.startswith("https://")

    def public_url(self, instance_id: InstanceId) -> str:
        return f"{self._address}/{instance_id}/"


class FakeGate:
    """`Gate` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def allow(self, session: Session) -> None:
        async with self._cloud.call("gate.allow"):
            self._cloud.sessions[session.hash] = session

    async def revoke(self, session_hash: str) -> None:
        async with self._cloud.call("gate.revoke"):
            self._cloud.sessions.pop(session_hash, None)

    async def sessions(self) -> Mapping[str, UserId]:
        async with self._cloud.call("gate.sessions"):
            return self._cloud.passing_sessions()
