"""Where credentials are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.gateway import Credentials
from openclaw_hosted.domain.naming import InstanceId


class Vault(Protocol):
    """One encrypted document of credentials for each instance id."""

    async def put(self, instance_id: InstanceId, document: Credentials, revision: int) -> None:
        """Store the document, whole. An older revision than the stored one raises `Conflict`; the same one again overwrites
        with the same content and so changes nothing."""
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
