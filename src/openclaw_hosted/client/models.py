"""What the API takes and answers. Written by `make client` from the API's own description; change that, and not this file."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Action = Literal["drain", "retire", "retry", "hold"]
AlarmGauge = Literal[
    "ready spares",
    "failed launches within five minutes",
    "gateways in a crash loop",
    "gateways that hung within ten minutes",
    "failed instances",
    "volumes that fill a disk which others need",
    "US dollars a month, estimated",
]
Cause = Literal["schedule", "asked", "upgrade", "deletion", "restore", "move", "brought", "adopted", "orphan"]
Channel = Literal["telegram", "discord", "slack"]
Component = Literal[
    "Machines",
    "Public IPv4 addresses",
    "Load balancers",
    "Volumes",
    "Snapshots",
    "Secrets",
    "Control plane",
    "Database",
    "CloudWatch",
    "Queue of notices",
    "ECR",
]
Count = Literal["creates", "hits", "misses", "launches", "launch_failures", "interruptions", "replacements", "restarts", "failures"]
Credential = Literal["gatewayToken", "modelApiKey", "telegramBotToken", "discordBotToken", "slackBotToken", "slackAppToken"]
DesiredState = Literal["running", "deleted"]
FindingKind = Literal[
    "pool_stopped",
    "pool_failing",
    "no_capacity",
    "at_cap",
    "pool_paused",
    "no_spares",
    "users_wait",
    "instances_failed",
    "crash_loop",
    "keys_refused",
    "disk_filled",
    "orphans_held_back",
    "backup_failed",
    "alarm",
]
Gauge = Literal["ready", "wanted", "booting", "running", "failed", "waiting", "machines", "cost"]
Level = Literal["trace", "debug", "info", "warn", "error", "fatal"]
LikelyCause = Literal[
    "deleted",
    "pool_paused",
    "no_capacity",
    "fleet_cap",
    "launches_fail",
    "waits_for_machine",
    "clock_wrong",
    "machine_gone",
    "machine_stopped",
    "machine_booting",
    "disk_full",
    "settings_refused",
    "out_of_memory",
    "gateway_ended",
    "gateway_hangs",
    "gateway_starting",
    "wrong_gateway",
    "route_missing",
    "route_elsewhere",
    "name_unknown",
    "target_unreached",
    "key_refused",
]
MachineFailure = Literal["not_ready_in_time", "launch_failed", "died", "old_image", "surplus", "instance_deleted", "by_operator", "noticed"]
MachineState = Literal["initializing", "available", "assigned", "terminating", "terminated"]
ModelProvider = Literal["echo", "anthropic", "openai", "openrouter", "google", "compatible"]
NoticeKind = Literal["interruption", "rebalance", "maintenance", "drain", "ended"]
OrphanState = Literal["quarantined", "held_back", "released"]
Outcome = Literal["ok", "failed", "skipped"]
Phase = Literal["pending", "placing", "running", "updating", "restoring", "replacing", "failed", "deleting", "deleted", "purged"]
PointState = Literal["making", "ready", "removing"]
Role = Literal["user", "admin"]
Severity = Literal["bad", "warn"]
Step = Literal["capacity", "clock", "machine", "disk", "memory", "process", "gateway", "route", "address", "target", "key"]
StepName = Literal[
    "machine",
    "secret",
    "clear",
    "stop",
    "volume",
    "keep",
    "restore",
    "gateway",
    "label",
    "target",
    "route",
    "probe",
    "unroute",
    "terminate",
    "retire",
]
Told = Literal["began", "ended"]
Via = Literal["page", "api", "command_line", "service"]
Warmth = Literal["booted", "hot"]


class ActorOut(TypedDict):
    """Who caused it."""

    id: str
    """Of a user, or the name of a party without an account, such as `platform`."""
    name: str
    """The e-mail address now, or plain words."""
    role: Role | None
    """As it was then; null for whoever was not signed in."""
    via: Via
    address: str | None
    """Where the request came from; null where it came from no network."""


class AdviceAnswer(TypedDict):
    """The last seven days, and what was learned of the weeks before."""

    policy: Literal["fixed", "adaptive"]
    """What the pool follows."""
    sentence: str | None
    """The advice in words."""
    advice: AdviceOut | None
    """Null where too few users came to say anything."""
    learned: LearnedOut | None
    """Null before two weeks are known."""


class AdviceOut(TypedDict):
    """The last seven days, replayed."""

    arrivals: int
    boot_seconds: float
    """From launch to ready, as it was seen."""
    now: ReplayOut
    best: ReplayOut
    """The cheapest that would have missed no more."""
    spares_saved: float
    """On average; negative where more are advised."""
    usd_saved: float | None
    """US dollars in those seven days; null where machines cost nothing."""


class AlarmList(TypedDict):
    """All alarms, those that are on first, and who is told."""

    items: list[AlarmOut]
    channels: list[str]


class AlarmOnOut(TypedDict):
    """An alarm that is on."""

    name: str
    began_at: str
    well_since: str | None
    """Since when its condition has not held; it ends after five minutes of that."""


class AlarmOut(TypedDict):
    """One alarm, and how it is."""

    name: str
    what: str
    """What is so while it is on."""
    on: bool
    began_at: str | None
    """When it was on last, or has been on since."""
    ended_at: str | None
    gauge: AlarmGauge | None
    """What is measured; null where only CloudWatch can judge it."""
    value: float | None
    """As measured last."""
    limit: float | None
    """From where on it is on; null where it never is here."""
    below: bool
    """Whether it is on below the limit."""
    about: str
    """What it counts, such as the first few instances."""
    runbook: str
    told: dict[str, Told]
    """What each channel heard of the newest time that it was on."""


class CallsOut(TypedDict):
    """Calls to the cloud of one kind."""

    made: int
    """All, repetitions included."""
    errors: int
    """Refused, or without an answer; those that were throttled are not among them."""
    throttled: int


class ChannelTries(TypedDict):
    """A test message to each channel."""

    items: list[ChannelTry]


class ChannelTry(TypedDict):
    """What came of a test message."""

    channel: str
    problem: str | None
    """Null where it was told."""


class ChosenOut(TypedDict):
    """What became of one, or would."""

    id: str
    instance_id: str | None
    """The instance that is meant, or is on the machine."""
    instance_name: str | None
    owner: str | None
    """E-mail address."""
    problem: str | None
    """Why it was not done, or could not be; null where it was, or could be."""


class CostLine(TypedDict):
    """What one component costs in a month."""

    component: Component
    detail: str
    usd: float


class CostOut(TypedDict):
    """What exists, what it costs, and what it would cost with all spares."""

    holdings: HoldingsOut
    spares: int
    now: EstimateOut | None
    """Null where machines cost nothing."""
    projection: EstimateOut
    """As many users with all spares that are wanted, on AWS."""


class CredentialsIn(TypedDict):
    """Secrets to set; they are never answered again. In a PATCH, null takes one away."""

    modelApiKey: NotRequired[str | None]
    telegramBotToken: NotRequired[str | None]
    discordBotToken: NotRequired[str | None]
    slackBotToken: NotRequired[str | None]
    slackAppToken: NotRequired[str | None]


class DeliveryList(TypedDict):
    """Attempts, newest first. The newest hundred are kept."""

    items: list[DeliveryOut]


class DeliveryOut(TypedDict):
    """One attempt to tell."""

    message_id: str
    """As sent in `webhook-id`: the same for each attempt at the same event."""
    event_id: int | None
    """Null for a test."""
    type: str
    at: str
    attempt: int
    ok: bool
    status: int | None
    """What the address answered; null where it did not."""
    seconds: float
    error: str | None


class DiagnosisOut(TypedDict):
    """What was looked at, and what is likely wrong."""

    subject: str
    state: str
    """Its phase, and the last error if it has failed."""
    findings: list[StepFoundOut]
    cause: LikelyCause | None
    """Null where nothing is wrong that can be seen from here."""
    what: str | None
    """The cause, in words."""
    fix: str | None
    runbook: str | None
    """The page of docs/runbooks that says more."""


class EstimateOut(TypedDict):
    """US dollars for a month of 730 hours; an estimate from list prices, no invoice."""

    users: int
    lines: list[CostLine]
    total_usd: float
    per_user_usd: float | None
    """Null where there is no user."""
    note: str | None


class EventList(TypedDict):
    """Events, newest first; page on with `before_id`."""

    items: list[EventOut]


class EventOut(TypedDict):
    """One thing that happened."""

    id: int | None
    name: str
    at: str
    instance_id: str | None
    machine_id: str | None
    user_id: str | None
    """Whom it is about."""
    actor: ActorOut | None
    """Null where an earlier version did not keep it."""
    detail: dict[str, str | int | float]


class FindingOut(TypedDict):
    """One thing that is wrong."""

    kind: FindingKind
    severity: Severity
    text: str
    about: str | None
    """The id of what it is about, if that is one thing."""
    runbook: str | None
    """The name of a page of docs/runbooks."""
    alarms: list[AlarmOnOut]
    """Those that are on about it; each has a runbook of its name."""


class HistoryOut(TypedDict):
    """How it went, oldest first; the newest stretch is not over yet."""

    step_seconds: int
    items: list[StretchOut]
    whole: StretchOut
    """All of it together."""


class HoldingsOut(TypedDict):
    """What exists, counted by kind."""

    machines: int
    volumes: int
    secrets: int
    routes: int
    instances: int


class InstanceCreate(TypedDict):
    """A new instance."""

    name: str
    settings: NotRequired[SettingsIn]
    credentials: NotRequired[CredentialsIn]
    restore_point: NotRequired[str | None]
    """A restore point, or an archive that was brought, to begin with."""


class InstanceDetail(TypedDict):
    """One instance with its steps."""

    id: str
    name: str
    owner_id: str
    phase: Phase
    """`pending`: Waiting for a machine; `placing`: Starting; `running`: Running; `updating`: Applying changes; `restoring`: Restoring;
    `replacing`: Moving to another machine; `failed`: Failed; `deleting`: Deleting; `deleted`: Deleted; `purged`: Destroyed"""
    desired_state: DesiredState
    url: str
    settings: SettingsOut
    credentials: list[Credential]
    created_at: str
    phase_changed_at: str
    generation: int
    revision: int
    applied_revision: int | None
    error: str | None
    deleted_at: str | None
    restorable_until: str | None
    steps: list[StepOut]


class InstanceList(TypedDict):
    """Instances, newest first."""

    items: list[InstanceOut]
    next: str | None
    """Send it as `after` for the instances that follow; null where there are none."""


class InstanceOut(TypedDict):
    """One instance. `credentials` names those that are set, never their values."""

    id: str
    name: str
    owner_id: str
    phase: Phase
    """`pending`: Waiting for a machine; `placing`: Starting; `running`: Running; `updating`: Applying changes; `restoring`: Restoring;
    `replacing`: Moving to another machine; `failed`: Failed; `deleting`: Deleting; `deleted`: Deleted; `purged`: Destroyed"""
    desired_state: DesiredState
    url: str
    settings: SettingsOut
    credentials: list[Credential]
    created_at: str
    phase_changed_at: str
    generation: int
    revision: int
    applied_revision: int | None
    error: str | None
    deleted_at: str | None
    restorable_until: str | None


class InstancePatch(TypedDict):
    """What to change; what is left out stays as it is."""

    name: NotRequired[str | None]
    settings: NotRequired[SettingsIn | None]
    credentials: NotRequired[CredentialsIn | None]
    desired_state: NotRequired[DesiredState | None]


class InviteIn(TypedDict):
    """Whom to invite."""

    email: str
    role: NotRequired[Role]


class KeyReportOut(TypedDict):
    """What came of trying a key."""

    ok: bool
    message: str


class KeyTest(TypedDict):
    """A key to try: the model provider's, or with `channel` that channel's tokens."""

    settings: NotRequired[SettingsIn]
    channel: NotRequired[Channel | None]
    credentials: CredentialsIn


class LargeVolumeOut(TypedDict):
    """A volume that holds much of the disk that all share."""

    instance_id: str | None
    volume_id: str
    held_bytes: int
    free_bytes: int
    """What the disk has left, for all."""


class LearnedOut(TypedDict):
    """What was learned of up to four weeks: the plan that POOL_POLICY=adaptive follows."""

    hours: list[int]
    """Spares in each of the week's 168 hours, from Monday 00:00 UTC."""
    mean: float
    """Spares on average."""
    refill_seconds: float
    """From when a spare is taken until another one is ready."""
    misses: int
    """How many of the last seven days' users would have found no spare."""


class LevelOut(TypedDict):
    """What a gauge stood at."""

    mean: float
    lowest: float
    highest: float


class Lines(TypedDict):
    """Log lines, oldest first."""

    lines: list[str]


class Link(TypedDict):
    """A link that works once: treat it as a credential."""

    url: str


class MachineList(TypedDict):
    """Machines, newest first."""

    items: list[MachineOut]
    next: str | None
    """Send it as `after` for the machines that follow; null where there are none."""


class MachineOut(TypedDict):
    """One machine of the fleet."""

    id: str
    state: MachineState
    warmth: Warmth
    image: str
    instance_id: str | None
    provider_ref: str | None
    zone: str
    created_at: str
    state_changed_at: str
    failure: MachineFailure | None
    notice: NoticeKind | None
    """What was said of its end, if anything."""
    leaves_at: str | None
    """Until when it serves its instance, which moves to another machine."""
    error: str | None


class MailIn(TypedDict):
    """Whether to send news by e-mail."""

    on: bool


class MailOut(TypedDict):
    """Whether news is sent by e-mail."""

    on: bool
    possible: bool
    """Whether the platform has a mail server."""


class MonthCostOut(TypedDict):
    """The cost of the present month against the budget."""

    spent_usd: float
    """Since the month began (UTC), estimated, as far as the platform kept it."""
    budget_usd: float
    usd_per_month: float | None
    """What exists now, for a whole month; null before the first look."""


class NoticeIn(TypedDict):
    """What is said of a machine."""

    kind: NoticeKind
    """interruption: taken away in two minutes; rebalance, maintenance: likely or planned to be, and moved in good time; drain: to be
    emptied. `ended` only its provider can tell."""


class OrphanList(TypedDict):
    """Orphans that are kept, the oldest first."""

    items: list[OrphanOut]


class OrphanName(TypedDict):
    """Which orphan is to be removed."""

    name: str


class OrphanOut(TypedDict):
    """Something that exists at the provider, and that no row stands for."""

    name: str
    """A kind and an id, such as `volume vol-7f3k2m9q`."""
    since: str
    state: OrphanState
    """quarantined: removed after a while; held_back: kept until an operator has it removed; released: being removed"""


class OverviewOut(TypedDict):
    """The platform now."""

    at: str
    severity: Severity | None
    """Null where all is well."""
    sentence: str
    findings: list[FindingOut]
    """The worst first."""
    cost: MonthCostOut | None
    """Null without a budget."""


class PlanList(TypedDict):
    """The deployment as it is, and with each change on top of those before."""

    items: list[PlanOut]


class PlanOut(TypedDict):
    """A deployment with all changes up to this one."""

    name: str
    usd: float
    saves_usd: float
    how: str | None
    """What to set in Terraform; null where nothing does it today."""
    gives_up: str
    is_possible: bool
    """Whether Terraform makes it today, with all changes before it."""


class PoolOut(TypedDict):
    """The pool at a glance."""

    status: str
    note: str | None
    paused: bool
    available: int
    spares_wanted: int
    policy: Literal["fixed", "adaptive"]
    """Whether the number of spares follows what was recorded."""
    waiting_instances: int
    machines: dict[str, int]
    fleet_cap: int
    image: str
    failures_in_row: int
    error: str | None


class PoolPatch(TypedDict):
    """What to change about the pool."""

    spares: int | None
    """No more than the fleet's cap; null follows the settings again."""


class ReplayOut(TypedDict):
    """What a number of spares would have meant."""

    by_day: int
    by_night: int
    day_begins: int
    """An hour in UTC; the day has twelve."""
    misses: int
    """How many users would have found no spare."""


class RestorePointList(TypedDict):
    """Newest first."""

    items: list[RestorePointOut]


class RestorePointOut(TypedDict):
    """A restore point. `size_bytes` is null while it is being made."""

    id: str
    instance_id: str | None
    made_at: str
    cause: Cause
    """`schedule`: on schedule; `asked`: you created it; `upgrade`: before an upgrade of OpenClaw; `deletion`: when it was deleted;
    `restore`: before you restored another; `move`: before it moved to another zone; `brought`: you imported it; `adopted`: from
    before the platform was rebuilt; `orphan`: before its disk was removed"""
    state: PointState
    size_bytes: int | None


class RoleIn(TypedDict):
    """What an account may do from now on."""

    role: Role


class RoomOut(TypedDict):
    """Who fills the disk that volumes share, the largest first; nobody while there is room."""

    large: list[LargeVolumeOut]


class SenderList(TypedDict):
    """Those who wait, the oldest first."""

    items: list[SenderOut]


class SenderOut(TypedDict):
    """Somebody who waits to be approved. The name is the sender's own choice, and proves nothing."""

    id: str
    channel: str
    sender_id: str
    sender_name: str
    asked_at: str
    expires_at: str


class SettingsIn(TypedDict):
    """Which model answers, and where else the assistant can be talked to."""

    provider: NotRequired[ModelProvider]
    model: NotRequired[str | None]
    """Model id; null takes the provider's default."""
    base_url: NotRequired[str | None]
    """Only for provider `compatible`."""
    channels: NotRequired[list[Channel]]


class SettingsOut(TypedDict):
    """Settings as they are wanted."""

    provider: ModelProvider
    model: str | None
    base_url: str | None
    channels: list[Channel]


class SeveralIn(TypedDict):
    """What to do to which."""

    action: Action
    """Of machines: `drain` moves each instance, then ends its machine; `retire` ends spares. Of instances: `retry` starts again or
    restarts; `hold` stops trying to place."""
    ids: list[str]
    dry_run: NotRequired[bool]
    """Say what would be done, and change nothing."""


class SeveralOut(TypedDict):
    """Each of them, in the order of the request."""

    items: list[ChosenOut]


class StepFoundOut(TypedDict):
    """One step of a diagnosis."""

    step: Step
    outcome: Outcome
    reason: str


class StepOut(TypedDict):
    """One attempt at one step."""

    name: StepName
    """`machine`: Find a machine; `secret`: Store the keys; `clear`: Prepare the new machine; `stop`: Stop OpenClaw on the old machine;
    `volume`: Attach the disk; `keep`: Save the present state; `restore`: Load the restore point; `gateway`: Start OpenClaw; `label`:
    Label the machine; `target`: Connect the machine; `route`: Set up the address; `probe`: Check the address; `unroute`: Close the
    address; `terminate`: Shut the machine down; `retire`: Set data and keys aside"""
    generation: int
    attempt: int
    started_at: str
    ended_at: str | None
    seconds: float | None
    error: str | None
    note: str | None


class StepTimesOut(TypedDict):
    """How long a step took that succeeded."""

    count: int
    total_seconds: float
    p50_seconds: float | None
    """Half of them ended within this."""
    p95_seconds: float | None


class StretchOut(TypedDict):
    """What is known of one stretch of time; what nothing is known of is left out."""

    start: str
    gauges: dict[str, LevelOut]
    counts: dict[str, int]
    latency_p50_seconds: float | None
    """Half of the new instances ran within this; null without any."""
    latency_p95_seconds: float | None
    steps: dict[str, StepTimesOut]
    """`machine`: Find a machine; `secret`: Store the keys; `clear`: Prepare the new machine; `stop`: Stop OpenClaw on the old machine;
    `volume`: Attach the disk; `keep`: Save the present state; `restore`: Load the restore point; `gateway`: Start OpenClaw; `label`:
    Label the machine; `target`: Connect the machine; `route`: Set up the address; `probe`: Check the address; `unroute`: Close the
    address; `terminate`: Shut the machine down; `retire`: Set data and keys aside"""
    calls: dict[str, CallsOut]
    """By service and operation, such as `ec2:CreateFleet`."""


class TokenCreate(TypedDict):
    """What the token is for."""

    label: str


class TokenList(TypedDict):
    """The caller's tokens."""

    items: list[TokenOut]


class TokenMade(TypedDict):
    """A new token: its secret is shown this once."""

    id: str
    label: str
    token: str


class TokenOut(TypedDict):
    """An API token, without its secret."""

    id: str
    label: str
    created_at: str


class UsageOut(TypedDict):
    """How long machines ran in a month, the longest first."""

    month: str
    since: str
    until: str
    items: list[UseOut]


class UseOut(TypedDict):
    """What the machines of one user ran."""

    owner: str | None
    """Null for spares, and for machines whose instance has no row any more."""
    machines: int
    machine_seconds: float
    usd: float | None
    """Of the machines alone; null where they cost nothing."""


class UserList(TypedDict):
    """Accounts, oldest first."""

    items: list[UserOut]


class UserOut(TypedDict):
    """An account."""

    id: str
    email: str
    role: Role
    disabled: bool
    created_at: str


class WebhookCreate(TypedDict):
    """An address that is told what happens to instances."""

    url: str
    events: NotRequired[list[str]]
    """Names of the events to tell of, such as `instance.failed`; empty for all."""
    all_instances: NotRequired[bool]
    """For admins: tell of everybody's instances."""


class WebhookList(TypedDict):
    """The caller's webhooks, oldest first."""

    items: list[WebhookOut]


class WebhookOut(TypedDict):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    all_instances: bool
    created_at: str
    enabled: bool
    disabled_at: str | None
    """When the platform gave up, after days of failures."""
    failing_since: str | None
    failures: int
    """In a row."""
    error: str | None
    """What came of the last attempt, if it failed."""


class WebhookSecret(TypedDict):
    """A new webhook: its secret is shown this once."""

    id: str
    url: str
    events: list[str]
    all_instances: bool
    created_at: str
    enabled: bool
    disabled_at: str | None
    """When the platform gave up, after days of failures."""
    failing_since: str | None
    failures: int
    """In a row."""
    error: str | None
    """What came of the last attempt, if it failed."""
    secret: str
    """The key of the signatures, as Standard Webhooks writes it."""
