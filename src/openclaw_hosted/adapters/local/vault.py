"""The vault: an encrypted file for each instance id."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openclaw_hosted.adapters.local.files import locked, read_json, write_json
from openclaw_hosted.adapters.local.keys import vault_key
from openclaw_hosted.adapters.sealing import NONCE_BYTES, derive_key
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound
from openclaw_hosted.domain.gateway import Credential, Credentials
from openclaw_hosted.domain.naming import InstanceId, MachineId, is_instance_id
from openclaw_hosted.domain.record import InstanceRecord, decode_record, encode_record
from openclaw_hosted.ports.vault import Deposit

RECORD: Final = "platformRecord"
"""Where the record stands among the credentials, encrypted as they are."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in the clear beside a document, and is authenticated with it."""

    instance_id: str
    revision: int
    retired: bool = False
    granted_to: str | None = None

    def as_bytes(self) -> bytes:
        """The same for the same header."""
        return json.dumps(asdict(self), sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """A header with its document."""

    header: Header
    document: Credentials
    record: InstanceRecord | None = None


class LocalVault:
    """DIR/vault/<instance id>.json, each encrypted with AES-256-GCM under a key from DIR/vault.key."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "vault"
        self._cipher = AESGCM(derive_key(vault_key(data_dir), "vault"))
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._directory / ".lock"

    async def put(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None = None) -> None:
        """Store the document, whole; raises `Conflict` for an older revision than the stored one."""
        await asyncio.to_thread(self._put, instance_id, document, revision, record)

    async def look(self, instance_id: InstanceId) -> Deposit:
        """What is stored. Raises `NotFound`, and `Denied` where it was altered or encrypted with another key."""
        entry = await asyncio.to_thread(self._load, instance_id)
        if entry is None:
            raise NotFound(f"The vault has nothing of {instance_id}.")
        header, record = entry.header, entry.record
        owner_id = record.owner_id if record else None
        return Deposit(instance_id, header.revision, frozenset(entry.document), record, owner_id, header.retired)

    async def get(self, instance_id: InstanceId, *, fresh: bool = False) -> Credentials:  # noqa: ARG002 - it always is
        """The document. Raises `NotFound` where there is none, or it is retired."""
        return (await asyncio.to_thread(self._readable, instance_id)).document

    async def get_as(self, machine_id: MachineId, instance_id: InstanceId) -> Credentials:
        """The document as this machine may read it. Raises `Denied` where it was granted to another, or to none."""
        entry = await asyncio.to_thread(self._readable, instance_id)
        if entry.header.granted_to != machine_id:
            raise Denied(f"Machine {machine_id} may not read the credentials of {instance_id}.")
        return entry.document

    async def grant(self, instance_id: InstanceId, provider_ref: str) -> None:
        """Make the document readable by this machine, and by no other machine."""
        await asyncio.to_thread(self._grant, instance_id, provider_ref)

    async def retire(self, instance_id: InstanceId) -> None:
        """Make it unreadable, but keep it. Does nothing where there is none."""
        await asyncio.to_thread(self._retire, instance_id)

    async def restore(self, instance_id: InstanceId) -> None:
        """Undo `retire`. Raises `NotFound` once purged."""
        await asyncio.to_thread(self._restore, instance_id)

    async def purge(self, instance_id: InstanceId) -> None:
        """Destroy it for good. Does nothing where there is none."""
        await asyncio.to_thread(self._purge, instance_id)

    async def list(self) -> Sequence[InstanceId]:
        """All ids with a document, retired ones included."""
        names = await asyncio.to_thread(lambda: sorted(path.stem for path in self._directory.glob("*.json")))
        return [InstanceId(name) for name in names if is_instance_id(name)]

    def _put(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None) -> None:
        with locked(self._lock):
            stored = self._load(instance_id)
            header = stored.header if stored else Header(instance_id, revision)
            if revision < header.revision:
                raise Conflict(f"The vault already has revision {header.revision} of {instance_id}'s credentials.")
            kept = stored.record if record is None and stored is not None else record
            wanted = Entry(replace(header, revision=revision), dict(document), kept)
            if stored != wanted:
                self._save(wanted)

    def _readable(self, instance_id: InstanceId) -> Entry:
        entry = self._load(instance_id)
        if entry is None or entry.header.retired:
            raise NotFound(f"The vault has no credentials of {instance_id}.")
        return entry

    def _grant(self, instance_id: InstanceId, provider_ref: str) -> None:
        with locked(self._lock):
            entry = self._readable(instance_id)
            if entry.header.granted_to != provider_ref:
                self._save(replace(entry, header=replace(entry.header, granted_to=provider_ref)))

    def _retire(self, instance_id: InstanceId) -> None:
        with locked(self._lock):
            entry = self._load(instance_id)
            if entry is not None and not entry.header.retired:
                self._save(replace(entry, header=replace(entry.header, retired=True, granted_to=None)))

    def _restore(self, instance_id: InstanceId) -> None:
        with locked(self._lock):
            entry = self._load(instance_id)
            if entry is None:
                raise NotFound(f"The credentials of {instance_id} are gone for good.")
            if entry.header.retired:
                self._save(replace(entry, header=replace(entry.header, retired=False)))

    def _purge(self, instance_id: InstanceId) -> None:
        with locked(self._lock):
            self._path(instance_id).unlink(missing_ok=True)

    def _path(self, instance_id: InstanceId) -> Path:
        if not is_instance_id(instance_id):
            raise NotFound("That is not the id of an instance.")
        return self._directory / f"{instance_id}.json"

    def _load(self, instance_id: InstanceId) -> Entry | None:
        path = self._path(instance_id)
        if not path.exists():
            return None
        body = read_json(path) or {}
        try:
            header = Header(**body["header"])
            nonce, encrypted = bytes.fromhex(body["nonce"]), bytes.fromhex(body["encrypted"])
            document = json.loads(self._cipher.decrypt(nonce, encrypted, header.as_bytes()))
        except (KeyError, TypeError, ValueError, InvalidTag):
            raise Denied(f"{path} was altered, or encrypted with another key.") from None
        if header.instance_id != instance_id:
            raise Denied(f"{path} holds the credentials of another instance.")
        record = decode_record(document.pop(RECORD, None))
        return Entry(header, {Credential(name): str(value) for name, value in document.items()}, record)

    def _save(self, entry: Entry) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        document: dict[str, object] = dict(entry.document.items())
        if entry.record is not None:
            document[RECORD] = encode_record(entry.record)
        encrypted = self._cipher.encrypt(nonce, json.dumps(document).encode(), entry.header.as_bytes())
        body = {"header": asdict(entry.header), "nonce": nonce.hex(), "encrypted": encrypted.hex()}
        write_json(self._path(InstanceId(entry.header.instance_id)), body)
