"""How a page is made from its template, and how times, durations and phases are put for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from openclaw_hosted.domain.actor import Actor, Party, Via
from openclaw_hosted.domain.gateway import Channel, ModelProvider
from openclaw_hosted.domain.instance import Instance, Phase, Step, StepName
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.room import in_gigabytes
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.navigation import navigates

HERE: Final = Path(__file__).parent
MINUTE_SECONDS: Final = 60
ABOUT_SECONDS: Final = 5

PHASE_WORDS: Final[Mapping[Phase, str]] = {
    Phase.PENDING: "Waiting for a machine",
    Phase.PLACING: "Starting",
    Phase.RUNNING: "Running",
    Phase.UPDATING: "Restarting or applying changes",
    Phase.REPLACING: "Moving to another machine",
    Phase.FAILED: "Failed",
    Phase.DELETING: "Being deleted",
    Phase.DELETED: "Deleted",
    Phase.PURGED: "Gone",
}
NOTICE_WORDS: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.INTERRUPTION: "Its provider takes it away",
    NoticeKind.REBALANCE: "Its provider may take it away soon",
    NoticeKind.MAINTENANCE: "Its provider has planned maintenance",
    NoticeKind.DRAIN: "An operator empties it",
    NoticeKind.ENDED: "It ended without notice",
}
DEPARTURE_WORDS: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.INTERRUPTION: "The cloud takes its machine away, so it moves to another one.",
    NoticeKind.REBALANCE: "The cloud may take its machine away soon, so it moves to another one.",
    NoticeKind.MAINTENANCE: "The cloud has planned maintenance of its machine, so it moves to another one.",
    NoticeKind.DRAIN: "Its machine is taken out of service, so it moves to another one.",
    NoticeKind.ENDED: "Its machine ended, so it moves to another one.",
}
STEP_WORDS: Final[Mapping[StepName, str]] = {
    StepName.MACHINE: "Find a machine",
    StepName.SECRET: "Lock the keys away",
    StepName.CLEAR: "Empty the new machine",
    StepName.STOP: "Finish the turn and stop OpenClaw on the old machine",
    StepName.VOLUME: "Attach the disk",
    StepName.GATEWAY: "Start OpenClaw",
    StepName.LABEL: "Label the machine",
    StepName.TARGET: "Connect the machine",
    StepName.ROUTE: "Set up the address",
    StepName.PROBE: "Try the address",
    StepName.UNROUTE: "Close the address",
    StepName.TERMINATE: "Shut the machine down",
    StepName.RETIRE: "Put data and keys aside",
}

PARTY_WORDS: Final[Mapping[str, str]] = {
    Party.PLATFORM: "the platform",
    Party.SETUP: "the platform",
    Party.OPERATOR: "the operator",
    Party.STRANGER: "somebody not signed in",
}
VIA_WORDS: Final[Mapping[Via, str]] = {
    Via.PAGE: "on a page",
    Via.API: "by the API",
    Via.COMMAND_LINE: "on the command line",
    Via.SERVICE: "",
}


@dataclass(frozen=True, slots=True)
class ProviderCard:
    """How a model provider is offered."""

    value: ModelProvider
    title: str
    text: str


PROVIDER_CARDS: Final = (
    ProviderCard(ModelProvider.ECHO, "Echo", "Says back what you say. No key and no cost: good for a first look."),
    ProviderCard(ModelProvider.ANTHROPIC, "Anthropic", "Claude models. Make a key at console.anthropic.com."),
    ProviderCard(ModelProvider.OPENAI, "OpenAI", "GPT models. Make a key at platform.openai.com."),
    ProviderCard(ModelProvider.OPENROUTER, "OpenRouter", "Many models behind one key, from openrouter.ai."),
    ProviderCard(ModelProvider.GOOGLE, "Google", "Gemini models. Make a key at aistudio.google.com."),
    ProviderCard(
        ModelProvider.COMPATIBLE,
        "Another address",
        "Any API that is compatible with OpenAI’s, such as Ollama or LM Studio on your network.",
    ),
)
CHANNEL_TEXTS: Final[Mapping[Channel, str]] = {
    Channel.TELEGRAM: "Make a bot with @BotFather, and paste its token.",
    Channel.DISCORD: "Make an application with a bot in the Discord developer portal.",
    Channel.SLACK: "Make an app with socket mode; it has a bot token and an app token.",
}


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """The newest attempt at a step, as it is shown."""

    title: str
    state: str
    started_at: float
    seconds: float | None
    attempt: int
    error: str | None
    note: str | None


def timeline(steps: Sequence[Step]) -> list[TimelineStep]:
    """The steps on the newest machine, each once, in the order in which they began."""
    generation = max((step.generation for step in steps), default=0)
    newest = {step.name: step for step in steps if step.generation == generation}
    return [_timeline_step(step) for step in sorted(newest.values(), key=lambda step: step.started_at)]


def waits_for_machine(instance: Instance, steps: Sequence[Step]) -> bool:
    """Whether it is on its way without a spare: a machine is being made ready, or it got one that OpenClaw has yet to start on."""
    if instance.phase is Phase.PLACING:
        return any(
            step.name is StepName.MACHINE and step.generation == instance.generation and step.ended_at != step.started_at for step in steps
        )
    return instance.phase is Phase.PENDING


def about_text(seconds: float) -> str:
    """A duration that nobody should count on to the second: `25 seconds`, `3 minutes`."""
    if seconds > MINUTE_SECONDS:
        return f"{math.ceil(seconds / MINUTE_SECONDS)} minutes"
    return f"{max(1, math.ceil(seconds / ABOUT_SECONDS)) * ABOUT_SECONDS} seconds"


def _timeline_step(step: Step) -> TimelineStep:
    seconds = None if step.ended_at is None else step.ended_at - step.started_at
    state = "failed" if step.error else "running" if step.ended_at is None else "done"
    return TimelineStep(STEP_WORDS[step.name], state, step.started_at, seconds, step.attempt, step.error, step.note)


def name_of(actor: Actor, people: Mapping[str, str]) -> str:
    """Who acted: an e-mail address of `people`, or plain words for who has no account."""
    return people.get(actor.id) or PARTY_WORDS.get(actor.id, actor.id)


def instant(at: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(at, UTC)


def duration_text(seconds: float) -> str:
    """A duration for people: `40 ms`, `1.2 s`, `3 min 5 s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < MINUTE_SECONDS:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def time_text(at: float) -> str:
    """A time for people, to the minute, in UTC."""
    return f"{instant(at):%-d %B %Y, %H:%M} UTC"


def tone(phase: Phase) -> str:
    """The colour in which a phase is shown."""
    if phase is Phase.RUNNING:
        return "good"
    if phase is Phase.FAILED:
        return "bad"
    return "quiet" if phase in (Phase.DELETED, Phase.PURGED) else "busy"


def is_settled(instance: Instance) -> bool:
    """Whether nothing is under way that a page should wait for."""
    return instance.phase in (Phase.RUNNING, Phase.FAILED, Phase.DELETED, Phase.PURGED)


def make_templates() -> Jinja2Templates:
    """The templates, with what they may call."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        duration=duration_text,
        moment=time_text,
        iso=lambda at: instant(at).isoformat(),
        tone=tone,
        about=about_text,
        gigabytes=in_gigabytes,
    )
    environment.globals.update(
        phase_words=PHASE_WORDS,
        notice_words=NOTICE_WORDS,
        departure_words=DEPARTURE_WORDS,
        via_words=VIA_WORDS,
        name_of=name_of,
        provider_cards=PROVIDER_CARDS,
        channel_texts=CHANNEL_TEXTS,
        settled=is_settled,
        timeline=timeline,
        waits_for_machine=waits_for_machine,
    )
    return Jinja2Templates(env=environment)


def render(request: Request, name: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any) -> Response:
    """A page. It knows its visitor, and so holds their CSRF token, only where a browser navigates to it; a script, frame or
    worker of another page on this origin gets the same page as a stranger."""
    web = web_of(request)
    visitor = getattr(request.state, "visitor", None) if navigates(request.headers) else None
    base = {"options": web.options, "visitor": visitor}
    return web.templates.TemplateResponse(request, name, {**base, **context}, status, dict(headers or {}))
