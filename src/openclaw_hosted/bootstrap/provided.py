"""What a provider brings: the ports, and how its loops are paced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits
from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.outgoing import Outgoing
from openclaw_hosted.controllers.context import ControllerOptions
from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.ports.gateways import Gateways
from openclaw_hosted.ports.legacy import Carrier
from openclaw_hosted.ports.machines import Machines
from openclaw_hosted.ports.meter import Meter
from openclaw_hosted.ports.notices import Notices
from openclaw_hosted.ports.ownership import Ownership
from openclaw_hosted.ports.restore_points import RestorePoints
from openclaw_hosted.ports.router import Gate, Router
from openclaw_hosted.ports.vault import Sealer, Vault
from openclaw_hosted.ports.volumes import Volumes
from openclaw_hosted.settings import Settings

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Provided:
    """The ports of one provider."""

    machines: Machines
    gateways: Gateways
    volumes: Volumes
    points: RestorePoints
    vault: Vault
    sealer: Sealer
    router: Router
    gate: Gate
    meter: Meter
    ownership: Ownership
    options: ControllerOptions
    """What is the provider's to say of them; the settings come on top."""
    addresses: Addresses
    """What users open."""
    carrier: Callable[[str], Carrier] | None = None
    """For states of an older system, through the bucket of this name. None where volumes are this computer's."""
    notices: Notices | None = None
    """None where nobody gives notice of a machine's end."""
    outgoing: Outgoing = field(default_factory=Outgoing)
    """How far requests for users may go, and from where they are sent; the settings name further servers."""
    edge: LocalEdge | None = None
    """This computer's own edge; without it the web application listens by itself, behind the provider's."""
    trusted_proxies: Sequence[str] = ()
    """Networks whose X-Forwarded headers count, where there is no edge of this computer."""
    warning: str | None = None
    """What users should know of its machines."""
    notes: tuple[str, ...] = ()
    """What its operator should know beside that, in a line each."""


def archive_limits(settings: Settings) -> ArchiveLimits:
    """What is taken of archives that people bring."""
    return ArchiveLimits(settings.archive_mb << 20, 4 * settings.archive_mb << 20)
