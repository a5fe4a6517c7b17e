"""Use cases: what a user or an operator can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.services.accounts import AccountService
from openclaw_hosted.services.advising import AdviceService
from openclaw_hosted.services.alarms import AlarmService
from openclaw_hosted.services.console import ConsoleService
from openclaw_hosted.services.costs import CostService
from openclaw_hosted.services.diagnosis import DiagnosisService
from openclaw_hosted.services.history import HistoryService
from openclaw_hosted.services.instances import InstanceService
from openclaw_hosted.services.keys import KeyService
from openclaw_hosted.services.mail import MailService
from openclaw_hosted.services.metrics import MetricsService
from openclaw_hosted.services.migrations import MigrationsService
from openclaw_hosted.services.opening import OpeningService
from openclaw_hosted.services.operations import OperationsService
from openclaw_hosted.services.restore_points import RestorePointService
from openclaw_hosted.services.room import RoomService
from openclaw_hosted.services.senders import SenderService
from openclaw_hosted.services.several import SeveralService
from openclaw_hosted.services.webhooks import WebhookService


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases, wired; the web and the command line get this and nothing else."""

    instances: InstanceService
    history: HistoryService
    opening: OpeningService
    senders: SenderService
    accounts: AccountService
    operations: OperationsService
    costs: CostService
    keys: KeyService
    room: RoomService
    restore_points: RestorePointService
    webhooks: WebhookService
    diagnosis: DiagnosisService
    alarms: AlarmService
    metrics: MetricsService
    console: ConsoleService
    advice: AdviceService
    migrations: MigrationsService
    several: SeveralService
    mail: MailService


__all__ = [
    "AccountService",
    "AdviceService",
    "AlarmService",
    "ConsoleService",
    "CostService",
    "DiagnosisService",
    "HistoryService",
    "InstanceService",
    "KeyService",
    "MailService",
    "MetricsService",
    "MigrationsService",
    "OpeningService",
    "OperationsService",
    "RestorePointService",
    "RoomService",
    "SenderService",
    "Services",
    "SeveralService",
    "WebhookService",
]
