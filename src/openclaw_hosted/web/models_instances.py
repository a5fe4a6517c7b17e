"""The shapes of the API about instances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictStr

from openclaw_hosted.domain.gateway import Channel, Credential, CredentialsChange, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase, Step, StepName
from openclaw_hosted.domain.words import PHASE_WORDS, STEP_WORDS, legend
from openclaw_hosted.ports.gateways import SenderRequest
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.models import NAME_INPUT_MAX_LENGTH, Input, moment

CREDENTIAL_INPUT_MAX_LENGTH = 4096


class SettingsIn(Input):
    """Which model answers, and where else the assistant can be talked to."""

    provider: ModelProvider = ModelProvider.ECHO
    model: Annotated[StrictStr | None, Field(max_length=500, description="Model id; null takes the provider's default.")] = None
    base_url: Annotated[StrictStr | None, Field(max_length=2048, description="Only for provider `compatible`.")] = None
    channels: list[Channel] = Field(default_factory=list, max_length=10)

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
    restore_point: Annotated[
        StrictStr | None, Field(max_length=40, description="A restore point, or an archive that was brought, to begin with.")
    ] = None


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


class SettingsOut(BaseModel):
    """Settings as they are wanted."""

    provider: ModelProvider
    model: str | None
    base_url: str | None
    channels: list[Channel]


class StepOut(BaseModel):
    """One attempt at one step."""

    name: Annotated[StepName, Field(description=legend(STEP_WORDS))]
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
    owner_id: str
    phase: Annotated[Phase, Field(description=legend(PHASE_WORDS))]
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
    """Instances, newest first."""

    items: list[InstanceOut]
    next: Annotated[str | None, Field(description="Send it as `after` for the instances that follow; null where there are none.")] = None


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


def instance_out(instance: Instance, url: str) -> InstanceOut:
    """An instance as the API tells it."""
    settings = instance.settings
    return InstanceOut(
        id=instance.id,
        name=instance.name,
        owner_id=instance.owner_id,
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
