"""The way of credentials that a user just gave: sealed in the instance's row until the vault has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from openclaw_hosted.controllers.context import Ports
from openclaw_hosted.controllers.gateways import ensure_token
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.gateway import CredentialsChange, decode_change
from openclaw_hosted.domain.instance import Instance
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


async def put_away(ports: Ports, instance: Instance, given: Given) -> None:
    """Have the vault keep it, on top of what is there."""
    document = await ensure_token(ports, instance.id, fresh=instance.revision > 1)
    await ports.vault.put(instance.id, given.change.apply_to(document), given.revision)


async def hand_over(ports: Ports, instance: Instance, lease: Lease) -> None:
    """Put away what was just given, and drop the sealed copy."""
    given = await just_given(ports, instance)
    if given is not None:
        await put_away(ports, instance, given)
        await ports.instance_store.update(instance.id, partial(lifecycle.hand_over, revision=given.revision), lease=lease)
