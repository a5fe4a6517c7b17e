"""Where credentials are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.gateway import Credential, Credentials
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.record import InstanceRecord


@dataclass(frozen=True, slots=True)
class Deposit:
    """What the vault has of an instance, without the values of its credentials."""

    instance_id: InstanceId
    revision: int = 0
    names: frozenset[Credential] = frozenset()
    """Of the credentials in it."""
    record: InstanceRecord | None = None
    """None where none was written yet, or it can't be read while the document is retired."""
    owner_id: UserId | None = None
    """Whose instance it is, where that can be told."""
    retired: bool = False


class Vault(Protocol):
    """One encrypted document of credentials for each instance id, and a record of the instance beside it."""

    async def put(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None = None) -> None:
        """Store the document, whole. An older revision than the stored one raises `Conflict`; the same one again overwrites
        with the same content and so changes nothing. Without a `record`, the one that is stored stays."""
        ...

    async def look(self, instance_id: InstanceId) -> Deposit:
        """What is stored, as it is now, retired or not. Raises `NotFound` where nothing is, and `Denied` where it was altered, or encrypted
        with another key."""
        ...

    async def get(self, instance_id: InstanceId, *, fresh: bool = False) -> Credentials:
        """The document; `fresh` for one that is about to be changed: not as it was a few seconds ago, before another control plane
        wrote it. Raises `NotFound` where there is none, or it is retired."""
        ...

    async def grant(self, instance_id: InstanceId, provider_ref: str) -> None:
        """Make the document readable by the machine that the provider calls so, and by no other machine."""
        ...

    async def retire(self, instance_id: InstanceId) -> None:
        """Make it unreadable, but keep it for `restore`. Does nothing where there is none."""
        ...

    async def restore(self, instance_id: InstanceId) -> None:
        """Undo `retire`. Raises `NotFound` once purged."""
        ...

    async def purge(self, instance_id: InstanceId) -> None:
        """Destroy it for good. Does nothing where there is none."""
        ...

    async def list(self) -> Sequence[InstanceId]:
        """All ids with a document, retired ones included."""
        ...


class Sealer(Protocol):
    """Encrypts what a user just gave, for the moment between the request and the vault. The key stands outside the database."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """`plaintext` encrypted and authenticated, bound to `context` (an instance id)."""
        ...

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """The plaintext. Raises `Denied` when it was altered, or sealed for another context or with another key."""
        ...
