"""Use cases: what a user or an operator can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.services.accounts import AccountService
from openclaw_hosted.services.costs import CostService
from openclaw_hosted.services.instances import InstanceService
from openclaw_hosted.services.keys import KeyService
from openclaw_hosted.services.opening import OpeningService
from openclaw_hosted.services.operations import OperationsService
from openclaw_hosted.services.room import RoomService
from openclaw_hosted.services.senders import SenderService


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases, wired; the web and the command line get this and nothing else."""

    instances: InstanceService
    opening: OpeningService
    senders: SenderService
    accounts: AccountService
    operations: OperationsService
    costs: CostService
    keys: KeyService
    room: RoomService


__all__ = [
    "AccountService",
    "CostService",
    "InstanceService",
    "KeyService",
    "OpeningService",
    "OperationsService",
    "RoomService",
    "SenderService",
    "Services",
]
