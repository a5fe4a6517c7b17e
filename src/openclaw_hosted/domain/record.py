"""What the vault keeps about an instance beside its credentials, so that a lost database can be rebuilt (domain.adoption)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_hosted.domain.gateway import GatewaySettings, decode_settings, encode_settings
from openclaw_hosted.domain.naming import UserId


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """An instance as its row said when it was last placed or changed. Times are seconds since the epoch."""

    owner_id: UserId
    owner_email: str
    name: str
    settings: GatewaySettings
    generation: int
    revision: int
    created_at: float


def encode_record(record: InstanceRecord) -> dict[str, Any]:
    """`record` as a JSON object."""
    return {
        "owner_id": record.owner_id,
        "owner_email": record.owner_email,
        "name": record.name,
        "settings": encode_settings(record.settings),
        "generation": record.generation,
        "revision": record.revision,
        "created_at": record.created_at,
    }


def decode_record(body: object) -> InstanceRecord | None:
    """The inverse of `encode_record`; None for anything that it did not make, such as a record of a later version."""
    if not isinstance(body, Mapping):
        return None
    try:
        return InstanceRecord(
            owner_id=UserId(str(body["owner_id"])),
            owner_email=str(body["owner_email"]),
            name=str(body["name"]),
            settings=decode_settings(body["settings"]),
            generation=int(body["generation"]),
            revision=int(body["revision"]),
            created_at=float(body["created_at"]),
        )
    except (KeyError, ValueError, TypeError):
        return None
