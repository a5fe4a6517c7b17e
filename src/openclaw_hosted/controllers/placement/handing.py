"""The way of credentials that a user just gave: sealed in the instance's row until the vault has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from openclaw_hosted.controllers.context import Ports
from openclaw_hosted.controllers.gateways import ensure_token
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.gateway import CredentialsChange, decode_change
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.record import InstanceRecord
from openclaw_hosted.ports.stores import Lease


@dataclass(frozen=True, slots=True)
class Given:
    """What a user gave, and with which revision."""

    revision: int
    change: CredentialsChange


async def just_given(ports: Ports, instance: Instance) -> Given | None:
    """What has not reached the vault yet; None where all has."""
    if instance.sealed_revision is None:
        return None
    sealed = await ports.instance_store.sealed_credentials(instance.id)
    if sealed is None:
        return None
    revision, blob = sealed
    return Given(revision, decode_change(ports.sealer.unseal(blob, instance.id)))


async def put_away(ports: Ports, instance: Instance, given: Given | None) -> None:
    """Have the vault keep it, on top of what is there, and with it what the instance is. Does nothing where it does."""
    record = await _record_of(ports, instance)
    document = await ensure_token(ports, instance.id, fresh=instance.revision > 1)
    if given is None:
        await ports.vault.put(instance.id, document, instance.revision, record)
    else:
        await ports.vault.put(instance.id, given.change.apply_to(document), given.revision, record)


async def _record_of(ports: Ports, instance: Instance) -> InstanceRecord:
    """What is to be known of it where the database is lost."""
    owner = await ports.account_store.user(instance.owner_id)
    return InstanceRecord(
        owner.id, owner.email, instance.name, instance.settings, instance.generation, instance.revision, instance.created_at
    )


async def hand_over(ports: Ports, instance: Instance, lease: Lease) -> None:
    """Put away what was just given and what the instance is, and drop the sealed copy."""
    given = await just_given(ports, instance)
    await put_away(ports, instance, given)
    if given is not None:
        await ports.instance_store.update(instance.id, partial(lifecycle.hand_over, revision=given.revision), lease=lease)
