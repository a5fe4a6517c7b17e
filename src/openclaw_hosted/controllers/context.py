"""Everything a controller may touch, and what it is set to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from openclaw_hosted.controllers.telemetry import Exporting
from openclaw_hosted.domain.alarms import Limits
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.domain.restore_point import RestorePointPolicy
from openclaw_hosted.domain.shards import Shards
from openclaw_hosted.ports.alarms import AlarmChannel, AlarmStore
from openclaw_hosted.ports.backups import Backups
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.gateways import Gateways
from openclaw_hosted.ports.machines import Machines
from openclaw_hosted.ports.mail import Mailer
from openclaw_hosted.ports.meter import Meter
from openclaw_hosted.ports.notices import Notices
from openclaw_hosted.ports.pool_target import PoolTarget
from openclaw_hosted.ports.restore_points import RestorePoints
from openclaw_hosted.ports.router import Gate, Router
from openclaw_hosted.ports.stores import (
    AccountStore,
    Hints,
    HistoryStore,
    InstanceStore,
    MachineStore,
    NewsStore,
    PlatformStore,
    RestorePointStore,
    WebhookStore,
)
from openclaw_hosted.ports.tracing import Watch
from openclaw_hosted.ports.vault import Sealer, Vault
from openclaw_hosted.ports.volumes import Volumes
from openclaw_hosted.ports.webhooks import Telling

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports and stores that controllers act through."""

    machines: Machines
    gateways: Gateways
    vault: Vault
    sealer: Sealer
    router: Router
    gate: Gate
    volumes: Volumes
    meter: Meter
    clock: Clock
    ids: Ids
    machine_store: MachineStore
    instance_store: InstanceStore
    account_store: AccountStore
    platform_store: PlatformStore
    points: RestorePoints
    point_store: RestorePointStore
    hints: Hints
    backups: Backups | None = None
    """None where none are to be made."""
    notices: Notices | None = None
    """None where the provider gives none."""
    webhook_store: WebhookStore | None = None
    telling: Telling | None = None
    """None, as the store, where webhooks are told by nobody."""
    alarms: AlarmStore | None = None
    """None where nobody keeps alarms."""
    alarm_channels: Sequence[AlarmChannel] = ()
    """Who is told of alarms."""
    history: HistoryStore | None = None
    """None where none is kept."""
    exporting: Exporting | None = None
    """None where metrics are sent nowhere, and only asked for."""
    watch: Watch = field(default_factory=Watch)
    target: PoolTarget | None = None
    """None where the number of spares is what settings or an operator say."""
    news: NewsStore | None = None
    """None where nobody looks for refused keys, nor tells users."""
    mailer: Mailer | None = None
    """None where there is no mail server."""


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """What an operator may set, and what tests shorten. Times are seconds."""

    policy: PoolPolicy = field(default_factory=PoolPolicy)
    warmth: Warmth = Warmth.HOT
    shards: Shards = field(default_factory=Shards)
    deployment: Deployment | None = None
    """What costs are estimated with; None where nothing costs money."""
    allowed_origins: tuple[str, ...] = ()
    retention_seconds: float = 7 * DAY_SECONDS
    workers: int = 8
    """Rows of a kind that are worked on at once. Most of that is waiting for the provider."""
    lease_seconds: float = 20.0
    """How long a row stays with a replica that died; renewed at a third of it."""
    scan_seconds: float = 1.0
    """How often a loop looks without a hint."""
    poll_seconds: float = 0.25
    """How often something awaited is looked at again."""
    gateway_ready_seconds: float = 150.0
    refill_waits_seconds: float = 1.0
    """How long the pool leaves spares that are missing to later, while instances are being placed: nobody waits for a spare."""
    retry_base_seconds: float = 1.0
    retry_cap_seconds: float = 60.0
    attempts_limit: int = 12
    elsewhere_seconds: float = 300.0
    """How long an instance waits for a machine where its volume is, before that is copied to another zone; zero for ever."""
    machines_per_hour: int = 10
    """How many an instance may use up."""
    away_seconds: float = 3.0
    """How often work is tried again while the provider itself does not answer; that counts as no attempt."""
    liveness_seconds: float = 5.0
    gone_again_seconds: float = 1.0
    """How soon liveness looks again at a machine that the provider no longer has."""
    dead_after_looks: int = 3
    hung_after_looks: int = 8
    """When a gateway that answered before, and runs on without an answer, is ended by force, and a spare that does not answer given up."""
    keep_warm_seconds: float = 40.0
    """How often a hot spare is touched. OpenClaw 2026.9.6 ends idle workers after 60 s; bringing them up takes seconds."""
    orphans_seconds: float = 60.0
    orphan_grace_seconds: float = 600.0
    quarantine_seconds: float = 7 * DAY_SECONDS
    """How long an orphan is kept that may hold a user's data."""
    restore_points: RestorePointPolicy = field(default_factory=RestorePointPolicy)
    restore_points_seconds: float = 30.0
    housekeeping_seconds: float = 60.0
    events_kept_seconds: float = 90 * DAY_SECONDS
    machines_kept_seconds: float = 30 * DAY_SECONDS
    """How long the row of a machine that is gone is kept for the record."""
    steps_kept: int = 200
    """The newest of each instance."""
    metering_seconds: float = 60.0
    history_seconds: float = 60.0
    disk_seconds: float = 60.0
    thrift_seconds: float = 300.0
    generous_seconds: float = 3600.0
    """How long a machine may cost more than its price, from when it is a user's."""
    backup_seconds: float = 86_400.0
    backup_retry_seconds: float = 900.0
    """How soon a failed backup is tried again."""
    alarms_seconds: float = 60.0
    keys_seconds: float = 60.0
    """How often some gateways' logs are looked through for refused keys."""
    letters_seconds: float = 60.0
    address: str = ""
    """The platform's own, for whoever is told of an alarm."""
    limits: Limits = field(default_factory=Limits)
    """Of alarms; the number of spares is the pool's."""
