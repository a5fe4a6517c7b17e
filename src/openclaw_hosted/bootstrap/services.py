"""The use cases, wired."""

from __future__ import annotations

from dataclasses import replace

from openclaw_hosted.adapters.keytester import HttpKeyTester
from openclaw_hosted.adapters.names import SystemNames
from openclaw_hosted.adapters.outgoing import Outgoing
from openclaw_hosted.bootstrap.alarms import alarm_channels, alarm_limits, mailer
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.bootstrap.shared import Shared, own
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.gateway import SHIPPED_CHANNELS
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.services import (
    AccountService,
    AdviceService,
    AlarmService,
    ConsoleService,
    CostService,
    DiagnosisService,
    HistoryService,
    InstanceService,
    KeyService,
    MailService,
    MetricsService,
    MigrationsService,
    OpeningService,
    OperationsService,
    RestorePointService,
    RoomService,
    SenderService,
    Services,
    SeveralService,
    WebhookService,
)
from openclaw_hosted.settings import Settings


def services_of(shared: Shared) -> Services:
    """All of them."""
    store, provided, clock, ids = shared.store, shared.provided, shared.clock, shared.ids
    caps = Caps(shared.settings.instances_total, shared.settings.instances_per_user)
    operations = OperationsService(store.machines, store.instances, store.platform, store.hints, clock, shared.policy, shared.target)
    console = ConsoleService(
        store.console,
        store.history,
        store.machines,
        store.instances,
        store.platform,
        store.alarms,
        clock,
        shared.policy,
        store.news,
        shared.operating.budget_usd,
        shared.target,
    )
    return Services(
        instances=InstanceService(
            store.instances,
            store.machines,
            provided.gateways,
            provided.router,
            provided.sealer,
            store.hints,
            clock,
            ids,
            caps,
            provided.options.shards,
            SHIPPED_CHANNELS,
            store.alarms if shared.operating.budget_stops else None,
        ),
        history=HistoryService(store.instances, store.platform, clock, store.news, store.machines, shared.policy.image),
        opening=OpeningService(
            store.instances, store.machines, store.accounts, store.platform, provided.gateways, provided.router, provided.gate, clock
        ),
        senders=SenderService(store.instances, store.machines, store.platform, provided.gateways, clock),
        accounts=AccountService(store.accounts, store.platform, provided.gate, clock, ids),
        operations=operations,
        costs=CostService(
            store.machines,
            store.instances,
            store.platform,
            store.restore_points,
            shared.policy,
            provided.options.deployment or Deployment(),
            clock,
            billed=provided.options.deployment is not None,
        ),
        keys=KeyService(key_tester(shared.settings, provided), clock),
        room=RoomService(store.instances, provided.volumes, clock),
        restore_points=RestorePointService(store.instances, store.restore_points, store.platform, provided.points, clock, ids),
        webhooks=WebhookService(store.webhooks, shared.webhooks, provided.sealer, clock, ids),
        diagnosis=DiagnosisService(
            store.instances,
            store.machines,
            store.platform,
            provided.machines,
            provided.gateways,
            provided.router,
            provided.volumes,
            SystemNames(),
            clock,
        ),
        alarms=AlarmService(
            store.alarms,
            store.platform,
            alarm_channels(shared.operating, shared.webhooks, clock),
            shared.policy,
            provided.addresses.public,
            alarm_limits(shared.operating),
        ),
        metrics=MetricsService(
            store.machines,
            store.instances,
            store.platform,
            store.restore_points,
            store.alarms,
            store.history,
            shared.policy,
            clock,
            provided.options.deployment,
            shared.target,
        ),
        console=console,
        advice=AdviceService(
            store.platform, store.history, shared.lesson, shared.policy, clock, shared.target is not None, provided.options.deployment
        ),
        migrations=MigrationsService(store.migrations, clock),
        several=SeveralService(console, operations, store.machines, store.instances, store.console, clock),
        mail=MailService(store.news, clock, mailer(shared.operating) is not None),
    )


def key_tester(settings: Settings, provided: Provided) -> HttpKeyTester:
    """Tries keys, by requests that go no further than machines' would."""
    return HttpKeyTester(outgoing(settings, provided))


def outgoing(settings: Settings, provided: Provided) -> Outgoing:
    """Where the platform's own requests for users may go."""
    return replace(provided.outgoing, named=settings.local_models, own=own(settings))
