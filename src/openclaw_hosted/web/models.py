"""The shapes of the API, in and out. Nothing that goes out has a place for a credential, but for links and tokens made just now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.actor import Via
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.gateway import Channel, Credential, CredentialsChange, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase, Step, StepName
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.ports.gateways import SenderRequest
from openclaw_hosted.ports.volumes import LargeVolume
from openclaw_hosted.services.operations import PoolReport
from openclaw_hosted.web.rendering import instant, name_of

NAME_INPUT_MAX_LENGTH = 1000
SPARES_INPUT_MAX = 10_000
CREDENTIAL_INPUT_MAX_LENGTH = 4096


class Input(BaseModel):
    """A request's body: unknown fields are refused, and an error never repeats what was sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SettingsIn(Input):
    """Which model answers, and where else the assistant can be talked to."""

    provider: ModelProvider = ModelProvider.ECHO
    model: Annotated[StrictStr | None, Field(max_length=500, description="Model id; null takes the provider's default.")] = None
    base_url: Annotated[StrictStr | None, Field(max_length=2048, description="Only for provider `compatible`.")] = None
    channels: Annotated[list[Channel], Field(max_length=10)] = []

    def to_domain(self) -> GatewaySettings:
        """The settings that this stands for."""
        return GatewaySettings(self.provider, self.model, self.base_url, frozenset(self.channels))


Secret = Annotated[StrictStr, Field(max_length=CREDENTIAL_INPUT_MAX_LENGTH)]


class CredentialsIn(Input):
    """Secrets to set; they are never answered again. In a PATCH, null takes one away."""

    model_api_key: Annotated[Secret | None, Field(alias="modelApiKey")] = None
    telegram_bot_token: Annotated[Secret | None, Field(alias="telegramBotToken")] = None
    discord_bot_token: Annotated[Secret | None, Field(alias="discordBotToken")] = None
    slack_bot_token: Annotated[Secret | None, Field(alias="slackBotToken")] = None
    slack_app_token: Annotated[Secret | None, Field(alias="slackAppToken")] = None

    def to_domain(self) -> CredentialsChange:
        """The change that this stands for."""
        given = {Credential(name): value for name, value in self.model_dump(by_alias=True, exclude_unset=True).items()}
        values = {name: value for name, value in given.items() if value is not None}
        return CredentialsChange(values, frozenset(given) - frozenset(values))


class InstanceCreate(Input):
    """A new instance."""

    name: Annotated[StrictStr, Field(max_length=NAME_INPUT_MAX_LENGTH, examples=["My assistant"])]
    settings: SettingsIn = SettingsIn()
    credentials: CredentialsIn = CredentialsIn()


class InstancePatch(Input):
    """What to change; what is left out stays as it is."""

    name: Annotated[StrictStr | None, Field(max_length=NAME_INPUT_MAX_LENGTH)] = None
    settings: SettingsIn | None = None
    credentials: CredentialsIn | None = None
    desired_state: DesiredState | None = None


class KeyTest(Input):
    """A key to try: the model provider's, or with `channel` that channel's tokens."""

    settings: SettingsIn = SettingsIn()
    channel: Channel | None = None
    credentials: CredentialsIn


class PoolPatch(Input):
    """What to change about the pool."""

    spares: Annotated[int, Field(ge=0, le=SPARES_INPUT_MAX, strict=True, description="No more than the fleet's cap.")]


class InviteIn(Input):
    """Whom to invite."""

    email: Annotated[StrictStr, Field(max_length=500)]
    role: Role = Role.USER


class RoleIn(Input):
    """What an account may do from now on."""

    role: Role


class TokenCreate(Input):
    """What the token is for."""

    label: Annotated[StrictStr, Field(max_length=NAME_INPUT_MAX_LENGTH, examples=["Laptop"])]


class SettingsOut(BaseModel):
    """Settings as they are wanted."""

    provider: ModelProvider
    model: str | None
    base_url: str | None
    channels: list[Channel]


class StepOut(BaseModel):
    """One attempt at one step."""

    name: StepName
    generation: int
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    seconds: float | None
    error: str | None
    note: str | None


class InstanceOut(BaseModel):
    """One instance. `credentials` names those that are set, never their values."""

    id: str
    name: str
    phase: Phase
    desired_state: DesiredState
    url: str
    settings: SettingsOut
    credentials: list[Credential]
    created_at: datetime
    phase_changed_at: datetime
    generation: int
    revision: int
    applied_revision: int | None
    error: str | None
    deleted_at: datetime | None
    restorable_until: datetime | None


class InstanceDetail(InstanceOut):
    """One instance with its steps."""

    steps: list[StepOut]


class InstanceList(BaseModel):
    """The caller's instances, newest first."""

    items: list[InstanceOut]


class Lines(BaseModel):
    """Log lines, oldest first."""

    lines: list[str]


class Link(BaseModel):
    """A link that works once: treat it as a credential."""

    url: str


class SenderOut(BaseModel):
    """Somebody who waits to be approved. The name is the sender's own choice, and proves nothing."""

    id: str
    channel: str
    sender_id: str
    sender_name: str
    asked_at: datetime
    expires_at: datetime


class SenderList(BaseModel):
    """Those who wait, the oldest first."""

    items: list[SenderOut]


class KeyReportOut(BaseModel):
    """What came of trying a key."""

    ok: bool
    message: str


class MachineOut(BaseModel):
    """One machine of the fleet."""

    id: str
    state: MachineState
    warmth: Warmth
    image: str
    instance_id: str | None
    provider_ref: str | None
    zone: str
    created_at: datetime
    state_changed_at: datetime
    failure: MachineFailure | None
    notice: Annotated[NoticeKind | None, Field(description="What was said of its end, if anything.")]
    leaves_at: Annotated[datetime | None, Field(description="Until when it serves its instance, which moves to another machine.")]
    error: Annotated[str | None, Field(validation_alias="last_error")]


class NoticeIn(BaseModel):
    """What is said of a machine."""

    kind: Annotated[
        NoticeKind,
        Field(
            description="interruption: taken away in two minutes; rebalance, maintenance: likely or planned to be, and moved in good time;"
            " drain: to be emptied. `ended` only its provider can tell."
        ),
    ]


class OrphanOut(BaseModel):
    """Something that exists at the provider, and that no row stands for."""

    name: Annotated[str, Field(description="A kind and an id, such as `volume vol-7f3k2m9q`.")]
    since: datetime
    state: Annotated[
        OrphanState,
        Field(description="quarantined: removed after a while; held_back: kept until an operator has it removed; released: being removed"),
    ]


class OrphanName(BaseModel):
    """Which orphan is to be removed."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class OrphanList(BaseModel):
    """Orphans that are kept, the oldest first."""

    items: list[OrphanOut]


class MachineList(BaseModel):
    """Machines."""

    items: list[MachineOut]
    more: Annotated[bool, Field(description="Whether there are older ones, which are not listed.")] = False


class PoolOut(BaseModel):
    """The pool at a glance."""

    status: str
    note: str | None
    paused: bool
    available: int
    spares_wanted: int
    waiting_instances: int
    machines: dict[MachineState, int]
    fleet_cap: int
    image: str
    failures_in_row: int
    error: str | None


class LargeVolumeOut(BaseModel):
    """A volume that holds much of the disk that all share."""

    instance_id: str | None
    volume_id: str
    held_bytes: int
    free_bytes: Annotated[int, Field(description="What the disk has left, for all.")]


class RoomOut(BaseModel):
    """Who fills the disk that volumes share, the largest first; nobody while there is room."""

    large: list[LargeVolumeOut]


class UserOut(BaseModel):
    """An account."""

    id: str
    email: str
    role: Role
    disabled: bool
    created_at: datetime


class UserList(BaseModel):
    """Accounts, oldest first."""

    items: list[UserOut]


class ActorOut(BaseModel):
    """Who caused it."""

    id: Annotated[str, Field(description="Of a user, or the name of a party without an account, such as `platform`.")]
    name: Annotated[str, Field(description="The e-mail address now, or plain words.")]
    role: Annotated[Role | None, Field(description="As it was then; null for whoever was not signed in.")]
    via: Via
    address: Annotated[str | None, Field(description="Where the request came from; null where it came from no network.")]


class EventOut(BaseModel):
    """One thing that happened."""

    id: int | None
    name: str
    at: datetime
    instance_id: str | None
    machine_id: str | None
    user_id: Annotated[str | None, Field(description="Whom it is about.")]
    actor: Annotated[ActorOut | None, Field(description="Null where an earlier version did not keep it.")]
    detail: dict[str, str | int | float]


class EventList(BaseModel):
    """Events, newest first; page on with `before_id`."""

    items: list[EventOut]


class TokenOut(BaseModel):
    """An API token, without its secret."""

    id: str
    label: str
    created_at: datetime


class TokenList(BaseModel):
    """The caller's tokens."""

    items: list[TokenOut]


class TokenMade(BaseModel):
    """A new token: its secret is shown this once."""

    id: str
    label: str
    token: str


class ProblemField(BaseModel):
    """One thing wrong with a request."""

    field: str
    message: str


class ProblemOut(BaseModel):
    """Problem details, RFC 9457."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    errors: list[ProblemField] = []


def moment(at: float | None) -> datetime | None:
    """A time that may not be there."""
    return None if at is None else instant(at)


def instance_out(instance: Instance, url: str) -> InstanceOut:
    """An instance as the API tells it."""
    settings = instance.settings
    return InstanceOut(
        id=instance.id,
        name=instance.name,
        phase=instance.phase,
        desired_state=instance.desired,
        url=url,
        settings=SettingsOut(
            provider=settings.provider, model=settings.model, base_url=settings.base_url, channels=sorted(settings.channels)
        ),
        credentials=sorted(instance.credential_names),
        created_at=instant(instance.created_at),
        phase_changed_at=instant(instance.phase_changed_at),
        generation=instance.generation,
        revision=instance.revision,
        applied_revision=instance.applied_revision,
        error=instance.last_error,
        deleted_at=moment(instance.deleted_at),
        restorable_until=moment(instance.purge_after),
    )


def instance_detail(instance: Instance, url: str, steps: Sequence[Step]) -> InstanceDetail:
    """An instance with its steps as the API tells it."""
    return InstanceDetail(**instance_out(instance, url).model_dump(), steps=[step_out(step) for step in steps])


def step_out(step: Step) -> StepOut:
    """A step as the API tells it."""
    return StepOut(
        name=step.name,
        generation=step.generation,
        attempt=step.attempt,
        started_at=instant(step.started_at),
        ended_at=moment(step.ended_at),
        seconds=None if step.ended_at is None else round(step.ended_at - step.started_at, 3),
        error=step.error,
        note=step.note,
    )


def sender_out(sender: SenderRequest) -> SenderOut:
    """Somebody who waits, as the API tells it."""
    return SenderOut.model_validate(sender, from_attributes=True)


def machine_out(machine: Machine) -> MachineOut:
    """A machine as the API tells it."""
    return MachineOut.model_validate(machine, from_attributes=True)


def orphan_out(orphan: Orphan) -> OrphanOut:
    """An orphan as the API tells it."""
    return OrphanOut(name=orphan.name, since=instant(orphan.since), state=orphan.state)


def pool_out(report: PoolReport) -> PoolOut:
    """The pool as the API tells it."""
    memory = report.memory
    return PoolOut(
        status=memory.status,
        note=memory.note,
        paused=memory.paused,
        available=report.available,
        spares_wanted=report.spares_wanted,
        waiting_instances=report.waiting_instances,
        machines=dict(report.machines),
        fleet_cap=report.policy.fleet_cap,
        image=report.policy.image,
        failures_in_row=memory.failures_in_row,
        error=memory.last_error,
    )


def room_out(crowding: Sequence[LargeVolume]) -> RoomOut:
    """The disk as the API tells it."""
    return RoomOut(large=[LargeVolumeOut(**asdict(large)) for large in crowding])


def user_out(user: User) -> UserOut:
    """An account as the API tells it."""
    return UserOut.model_validate(user, from_attributes=True)


def event_out(event: Event, people: Mapping[str, str]) -> EventOut:
    """An event as the API tells it; `people` are e-mail addresses by id."""
    actor = event.actor
    return EventOut(
        id=event.id,
        name=event.name,
        at=instant(event.at),
        instance_id=event.instance_id,
        machine_id=event.machine_id,
        user_id=event.user_id,
        actor=actor and ActorOut(id=actor.id, name=name_of(actor, people), role=actor.role, via=actor.via, address=actor.address),
        detail=dict(event.detail),
    )
