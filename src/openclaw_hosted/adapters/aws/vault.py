"""The vault: a secret in Secrets Manager for each instance id, readable by the one machine whose ARN its tag names.

The secret is the file that OpenClaw reads: a flat JSON object of credentials, with the platform's revision and record beside them.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from openclaw_hosted.adapters.aws.errors import code_of
from openclaw_hosted.adapters.aws.names import Tag, as_tags, from_tags, instance_of_secret, secret_of
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound
from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.gateway import Credential, Credentials
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.record import InstanceRecord, decode_record, encode_record
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.vault import Deposit

REVISION: Final = "platformRevision"
RECORD: Final = "platformRecord"
"""An object: of what machines fetch, only texts reach a gateway (configure.mjs)."""
FRESH_SECONDS: Final = 5.0
"""How long what was just read or written is taken for what is there: a placement reads, merges and writes within it."""
RECOVERY_DAYS: Final = (7, 30)
"""What Secrets Manager takes for a recovery window."""
PAGE: Final = 100
NOBODY: Final = ""
TOKENS: Final = uuid.UUID("6b0f3a52-5f0e-4a58-9d0e-8a0f0c1f2d11")


@dataclass(frozen=True, slots=True)
class Place:
    """Where machines are, as their ARNs say."""

    partition: str
    region: str
    account: str
    machine_role: str | None = None
    """The ARN of the machines' role, to which each secret is locked as well; None for no such lock."""

    def machine_arn(self, provider_ref: str) -> str:
        """The ARN that a machine's credentials carry as `ec2:SourceInstanceARN`."""
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/{provider_ref}"


@dataclass(frozen=True, slots=True)
class _Seen:
    document: Mapping[Credential, str]
    revision: int
    record: InstanceRecord | None
    at: float

    def __repr__(self) -> str:
        return f"_Seen(revision={self.revision})"


class AwsVault:
    """`Vault` on Secrets Manager."""

    def __init__(self, sdk: Sdk, clock: Clock, deployment: str, place: Place, retention_days: float) -> None:
        self._sdk = sdk
        self._clock = clock
        self._deployment = deployment
        self._place = place
        self._recovery_days = min(max(math.ceil(retention_days), RECOVERY_DAYS[0]), RECOVERY_DAYS[1])
        self._seen: dict[InstanceId, _Seen] = {}
        self._absent: dict[InstanceId, float] = {}
        """When a secret was seen not to be there, for the few that are about to be made."""
        self._granted: dict[InstanceId, str] = {}
        """The machine to which this process granted a secret last; `NOBODY` for one that it just made."""

    async def put(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None = None) -> None:
        """Store the document, whole; raises `Conflict` for an older revision than the stored one."""
        try:
            stored = await self._read(instance_id, fresh=revision > 0)
        except NotFound:
            await self._create(instance_id, document, revision, record)
            return
        if revision < stored.revision:
            raise Conflict(f"The vault already has revision {stored.revision} of {instance_id}'s credentials.")
        kept = record or stored.record
        if (dict(document), revision, kept) != (dict(stored.document), stored.revision, stored.record):
            text = _encode(document, revision, kept)
            await self._sdk.call(
                Call.PUT_SECRET, SecretId=self._name(instance_id), SecretString=text, ClientRequestToken=_token(text, instance_id)
            )
            self._note(instance_id, document, revision, kept)

    async def look(self, instance_id: InstanceId) -> Deposit:
        """What is stored. Of a retired one a tag tells whose it is, and nothing else can be read. Raises `NotFound`."""
        with suppress(NotFound):
            found = await self._read(instance_id, fresh=True)
            owner_id = found.record.owner_id if found.record else None
            return Deposit(instance_id, found.revision, frozenset(found.document), found.record, owner_id)
        retired = await self._describe(instance_id)
        if retired is None:
            raise NotFound(f"The vault has nothing of {instance_id}.")
        owner = from_tags(retired.get("Tags")).get(Tag.USER)
        return Deposit(instance_id, owner_id=UserId(owner) if owner else None, retired=True)

    async def get(self, instance_id: InstanceId, *, fresh: bool = False) -> Credentials:
        """The document; unless `fresh`, as it was at most `FRESH_SECONDS` ago. Raises `NotFound` where there is none, or it is retired."""
        return (await self._read(instance_id, fresh=fresh)).document

    async def grant(self, instance_id: InstanceId, provider_ref: str) -> None:
        """Name the machine in the secret's tag, which the machines' role compares with its own ARN; and before that in the secret's own
        policy, which denies it to the others, whatever their role says."""
        if self._granted.get(instance_id) == provider_ref:
            return
        arn = self._place.machine_arn(provider_ref)
        if instance_id in self._granted or await self._grantee(instance_id) != arn:
            await self._lock(instance_id, arn)
            await self._sdk.call(Call.TAG_SECRET, SecretId=self._name(instance_id), Tags=as_tags({Tag.GRANTED_TO: arn}))
        self._granted[instance_id] = provider_ref

    async def retire(self, instance_id: InstanceId) -> None:
        """Schedule its deletion, and take the grant back. Does nothing where there is none, or it is done.

        Nobody can read it from then on, so that a tag says whose it was.
        """
        self._forget(instance_id)
        found = await self._describe(instance_id)
        if found is None or "DeletedDate" in found:
            return
        with suppress(NotFound, Denied):
            if (record := (await self._read(instance_id, fresh=True)).record) is not None:
                await self._sdk.call(Call.TAG_SECRET, SecretId=self._name(instance_id), Tags=as_tags({Tag.USER: record.owner_id}))
        self._forget(instance_id)
        if Tag.GRANTED_TO in from_tags(found.get("Tags")):
            await self._sdk.call(Call.UNTAG_SECRET, SecretId=self._name(instance_id), TagKeys=[Tag.GRANTED_TO])
        with suppress(NotFound):
            await self._sdk.call(Call.DELETE_SECRET, SecretId=self._name(instance_id), RecoveryWindowInDays=self._recovery_days)

    async def restore(self, instance_id: InstanceId) -> None:
        """Undo `retire`. Raises `NotFound` once purged."""
        if self._is_absent(instance_id):
            raise NotFound(f"The vault has no credentials of {instance_id}.")
        self._forget(instance_id)
        await self._sdk.call(Call.RESTORE_SECRET, SecretId=self._name(instance_id))

    async def purge(self, instance_id: InstanceId) -> None:
        """Destroy it for good. Does nothing where there is none."""
        self._forget(instance_id)
        with suppress(NotFound):
            await self._sdk.call(Call.DELETE_SECRET, SecretId=self._name(instance_id), ForceDeleteWithoutRecovery=True)

    async def list(self) -> Sequence[InstanceId]:
        """All ids with a secret, retired ones included."""
        wanted = [{"Key": "name", "Values": [f"{self._deployment}/"]}]
        pages = self._sdk.pages(Call.LIST_SECRETS, IncludePlannedDeletion=True, Filters=wanted, MaxResults=PAGE)
        names = [str(secret["Name"]) async for page in pages for secret in page["SecretList"]]
        return [instance_id for name in names if (instance_id := instance_of_secret(self._deployment, name)) is not None]

    async def _create(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None) -> None:
        text = _encode(document, revision, record)
        tags = {Tag.DEPLOYMENT: self._deployment, Tag.INSTANCE: instance_id}
        await self._sdk.call(
            Call.CREATE_SECRET,
            Name=self._name(instance_id), SecretString=text, ClientRequestToken=_token(text, instance_id), Tags=as_tags(tags),
            Description="The credentials of one OpenClaw; read by its machine alone.",
        )  # fmt: skip
        self._note(instance_id, document, revision, record)
        self._granted[instance_id] = NOBODY

    async def _lock(self, instance_id: InstanceId, machine_arn: str) -> None:
        if self._place.machine_role is None:
            return
        policy = json.dumps(lock_policy(self._place.machine_role, machine_arn))
        await self._sdk.call(Call.LOCK_SECRET, SecretId=self._name(instance_id), ResourcePolicy=policy, BlockPublicPolicy=True)

    async def _read(self, instance_id: InstanceId, *, fresh: bool = False) -> _Seen:
        seen = None if fresh else self._seen.get(instance_id)
        if seen is not None and self._clock.monotonic() - seen.at < FRESH_SECONDS:
            return seen
        if not fresh and self._is_absent(instance_id):
            raise NotFound(f"The vault has no credentials of {instance_id}.")
        try:
            answer = await self._sdk.call(Call.GET_SECRET, SecretId=self._name(instance_id))
        except NotFound:
            self._absent[instance_id] = self._clock.monotonic()
            raise
        except Conflict as problem:
            if code_of(problem) != "InvalidRequestException":
                raise
            raise NotFound(f"The credentials of {instance_id} are retired.") from problem
        return self._note(instance_id, *_decode(instance_id, str(answer.get("SecretString", ""))))

    async def _grantee(self, instance_id: InstanceId) -> str | None:
        """The ARN of the machine that may read it. Raises `NotFound`."""
        found = await self._describe(instance_id)
        if found is None or "DeletedDate" in found:
            raise NotFound(f"The vault has no credentials of {instance_id}.")
        return from_tags(found.get("Tags")).get(Tag.GRANTED_TO)

    async def _describe(self, instance_id: InstanceId) -> Mapping[str, Any] | None:
        try:
            return await self._sdk.call(Call.DESCRIBE_SECRET, SecretId=self._name(instance_id))
        except NotFound:
            return None

    def _is_absent(self, instance_id: InstanceId) -> bool:
        at = self._absent.get(instance_id)
        return at is not None and self._clock.monotonic() - at < FRESH_SECONDS

    def _note(self, instance_id: InstanceId, document: Credentials, revision: int, record: InstanceRecord | None) -> _Seen:
        self._absent.pop(instance_id, None)
        self._seen[instance_id] = _Seen(dict(document), revision, record, self._clock.monotonic())
        return self._seen[instance_id]

    def _forget(self, instance_id: InstanceId) -> None:
        self._seen.pop(instance_id, None)
        self._absent.pop(instance_id, None)
        self._granted.pop(instance_id, None)

    def _name(self, instance_id: InstanceId) -> str:
        return secret_of(self._deployment, instance_id)


def lock_policy(machine_role: str, machine_arn: str) -> dict[str, Any]:
    """A secret's resource policy: of all machines, the one. It allows nothing; other roles are not spoken of."""
    condition = {
        "ArnEquals": {"aws:PrincipalArn": machine_role},
        "StringNotEquals": {"ec2:SourceInstanceARN": machine_arn},
    }
    statement = {
        "Sid": "OneMachine", "Effect": "Deny", "Principal": "*",
        "Action": "secretsmanager:GetSecretValue", "Resource": "*", "Condition": condition,
    }  # fmt: skip
    return {"Version": "2012-10-17", "Statement": [statement]}


def _encode(document: Credentials, revision: int, record: InstanceRecord | None) -> str:
    beside = {REVISION: revision, **({RECORD: encode_record(record)} if record else {})}
    return json.dumps({**{str(name): value for name, value in document.items()}, **beside}, sort_keys=True)


def _decode(instance_id: InstanceId, text: str) -> tuple[dict[Credential, str], int, InstanceRecord | None]:
    body = foreign_object(text) or {REVISION: None}
    try:
        revision, record = int(body.pop(REVISION, 0)), decode_record(body.pop(RECORD, None))
        return {Credential(name): str(value) for name, value in body.items()}, revision, record
    except (ValueError, TypeError):
        raise Denied(f"The secret of {instance_id} was altered by someone else: it is not a document of this platform.") from None


def _token(text: str, instance_id: InstanceId) -> str:
    """The same for the same content, so that a repeated call changes nothing."""
    return str(uuid.uuid5(TOKENS, f"{instance_id} {text}"))
