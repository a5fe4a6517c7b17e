"""A bucket through which machines and the control plane hand each other what is too large for a command.

A machine has no right on the bucket. It gets a signed address for one object and fifteen minutes. Run Command would show that to whoever
may list commands, so it comes as a secret, which this machine alone may read, as it reads its credentials (docs/security.md). Object and
secret are removed afterwards, whatever happens; after a crash the next one of the same instance removes the secret.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from openclaw_hosted.adapters.aws.names import Tag, as_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.aws.vault import Place, lock_policy
from openclaw_hosted.domain.errors import NotFound, PortError, Unavailable
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.clock import Ids

VALID_SECONDS: Final = 900
BLOCK_BYTES: Final = 1 << 20
TIMEOUT: Final = httpx.Timeout(30.0, write=120.0, read=120.0)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, as the machines' script tells and compares it."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the bucket lists it."""

    key: str
    size_bytes: int
    stored_at: float
    """In seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where things are on their way. `endpoint_url` is for a lab. Addresses are signed with the credentials of this process, and
    are reached by IPv4 and by IPv6, as some machines have only that."""

    name: str
    region: str
    endpoint_url: str | None = None

    def address(self, operation: str, key: str) -> str:
        """A signed one, for `get_object`, `put_object` or `delete_object`. Looks for credentials, which may take its time."""
        return str(self._client().generate_presigned_url(operation, Params={"Bucket": self.name, "Key": key}, ExpiresIn=VALID_SECONDS))

    def _client(self) -> Any:
        session = get_session()
        both = Config(use_dualstack_endpoint=True)
        own = self.endpoint_url or session.create_client("s3", region_name=self.region, config=both).meta.endpoint_url
        config = Config(signature_version="s3v4", s3={"addressing_style": "path" if self.endpoint_url else "virtual"})
        return session.create_client("s3", region_name=self.region, endpoint_url=own, config=config)

    async def signed(self, operation: str, key: str) -> str:
        """The same, while others go on."""
        return await asyncio.to_thread(self.address, operation, key)

    async def put(self, key: str, content: AsyncIterator[bytes] | bytes, size: int) -> None:
        """Store an object. Raises `Unavailable`."""
        await self._ask("PUT", await self.signed("put_object", key), content=content, headers={"Content-Length": str(size)})

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file. Raises `Unavailable`."""
        with path.open("rb") as opened:

            async def blocks() -> AsyncIterator[bytes]:
                while block := await asyncio.to_thread(opened.read, BLOCK_BYTES):
                    yield block

            await self.put(key, blocks(), os.fstat(opened.fileno()).st_size)

    async def list(self, prefix: str) -> Sequence[Stored]:
        """All objects whose keys begin so. Raises `Unavailable`."""
        return await asyncio.to_thread(self._list, prefix)

    def _list(self, prefix: str) -> Sequence[Stored]:
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        try:
            found = [each for page in pages for each in page.get("Contents", ())]
        except (BotoCoreError, ClientError) as problem:
            raise self.unavailable(type(problem).__name__) from None
        return [Stored(each["Key"], each["Size"], each["LastModified"].timestamp()) for each in found]

    async def delete(self, key: str) -> None:
        """Remove an object, if it is there. Raises `Unavailable`."""
        await self._ask("DELETE", await self.signed("delete_object", key))

    async def _ask(self, method: str, address: str, **given: Any) -> httpx.Response:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                answer = await client.request(method, address, **given)
        except httpx.HTTPError as problem:
            raise self.unavailable(type(problem).__name__) from None
        self.check(answer)
        return answer

    def check(self, answer: httpx.Response) -> None:
        """Raise `Unavailable` unless it did what was asked."""
        if not answer.is_success:
            raise self.unavailable(f"it answered {answer.status_code}")

    def unavailable(self, why: str) -> Unavailable:
        """An address stands in no error: it is a key for a while."""
        return Unavailable(f"The bucket {self.name} in {self.region} did not take or give a parcel: {why}.")


class Passage:
    """One kind of what passes through the bucket of a deployment; `kind` is part of the names of its secrets."""

    def __init__(self, sdk: Sdk, place: Place, deployment: str, bucket: Bucket, ids: Ids, kind: str) -> None:
        self.bucket = bucket
        self._sdk = sdk
        self._place = place
        self.deployment = deployment
        self._ids = ids
        self._kind = kind

    @asynccontextmanager
    async def object(self, instance_id: InstanceId) -> AsyncIterator[str]:
        """A key that nothing has, for the length of a block."""
        key = f"{self.deployment}/{instance_id}/{self._ids.token()}"
        try:
            yield key
        finally:
            with suppress(PortError):
                await self.bucket.delete(key)

    @asynccontextmanager
    async def told(self, instance_id: InstanceId, provider_ref: str, operation: str, key: str) -> AsyncIterator[str]:
        """The name of a secret that tells this machine the address, for the length of a block."""
        await self._forget(instance_id)
        name = f"{self._prefix(instance_id)}-{self._ids.token()[:16]}"
        machine = self._place.machine_arn(provider_ref)
        address = base64.b64encode((await self.bucket.signed(operation, key)).encode()).decode()
        tags = as_tags({Tag.DEPLOYMENT: self.deployment, Tag.GRANTED_TO: machine})
        try:
            await self._sdk.call(
                Call.CREATE_SECRET, Name=name, SecretString=address, Tags=tags, Description="Where something is on its way, for a moment."
            )
            if self._place.machine_role is not None:
                policy = json.dumps(lock_policy(self._place.machine_role, machine))
                await self._sdk.call(Call.LOCK_SECRET, SecretId=name, ResourcePolicy=policy, BlockPublicPolicy=True)
            yield name
        finally:
            with suppress(NotFound):
                await self._sdk.call(Call.DELETE_SECRET, SecretId=name, ForceDeleteWithoutRecovery=True)

    async def _forget(self, instance_id: InstanceId) -> None:
        """Secrets that a crash left."""
        wanted = [{"Key": "name", "Values": [self._prefix(instance_id)]}]
        async for page in self._sdk.pages(Call.LIST_SECRETS, Filters=wanted):
            for secret in page["SecretList"]:
                with suppress(NotFound):
                    await self._sdk.call(Call.DELETE_SECRET, SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)

    def _prefix(self, instance_id: InstanceId) -> str:
        return f"{self.deployment}/{self._kind}/{instance_id}"
