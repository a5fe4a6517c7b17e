"""How a page is made from its template, in the language of its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.gateway import Channel, ModelProvider
from openclaw_hosted.domain.instance import Instance, Phase, Step, StepName
from openclaw_hosted.domain.lifecycle.restore_points import SETTLED
from openclaw_hosted.domain.words import (
    CAUSE_WORDS,
    CHANNEL_WORDS,
    DEPARTURE_WORDS,
    NOTICE_WORDS,
    PARTY_WORDS,
    PHASE_WORDS,
    PROVIDER_WORDS,
    STEP_WORDS,
    VIA_WORDS,
)
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.language import ENGLISH, LANGUAGES, Language, instant, language_of
from openclaw_hosted.web.navigation import navigates
from openclaw_hosted.web.said import has_hidden, said_by

HERE: Final = Path(__file__).parent
FOR_OPERATORS: Final = ("console/", "admin_", "api_reference", "invitations", "_invitations")
"""How the names of templates begin that are in English whatever language their reader chose."""


@dataclass(frozen=True, slots=True)
class ProviderCard:
    """How a model provider is offered."""

    value: ModelProvider
    title: str
    text: str


PROVIDER_CARDS: Final = (
    ProviderCard(ModelProvider.ECHO, "Echo", "Repeats what you say. Needs no key and costs nothing: good for a first look."),
    ProviderCard(ModelProvider.ANTHROPIC, "Anthropic", "Claude models. Create a key at console.anthropic.com."),
    ProviderCard(ModelProvider.OPENAI, "OpenAI", "GPT models. Create a key at platform.openai.com."),
    ProviderCard(ModelProvider.OPENROUTER, "OpenRouter", "Many models behind one key, from openrouter.ai."),
    ProviderCard(ModelProvider.GOOGLE, "Google", "Gemini models. Create a key at aistudio.google.com."),
    ProviderCard(
        ModelProvider.COMPATIBLE,
        "Another address",
        "Any API that is compatible with OpenAI’s, such as Ollama or LM Studio on your network.",
    ),
)
CHANNEL_TEXTS: Final[Mapping[Channel, str]] = {
    Channel.TELEGRAM: "Create a bot with @BotFather and paste its token.",
    Channel.DISCORD: "Create an application with a bot in the Discord developer portal.",
    Channel.SLACK: "Create an app with socket mode. It has a bot token and an app token.",
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


def _timeline_step(step: Step) -> TimelineStep:
    seconds = None if step.ended_at is None else step.ended_at - step.started_at
    state = "failed" if step.error else "running" if step.ended_at is None else "done"
    return TimelineStep(STEP_WORDS[step.name], state, step.started_at, seconds, step.attempt, step.error, step.note)


def name_of(actor: Actor, people: Mapping[str, str]) -> str:
    """Who acted: an e-mail address of `people`, or plain words for who has no account."""
    return people.get(actor.id) or PARTY_WORDS.get(actor.id, actor.id)


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


def make_templates(filters: Mapping[str, Callable[..., Any]], language: Language = ENGLISH) -> Jinja2Templates:
    """The templates in one language, with what they may call; `filters` beside those of every page."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(
        duration=language.duration,
        moment=language.moment,
        iso=lambda at: instant(at).isoformat(),
        tone=tone,
        about=language.about,
        gigabytes=language.gigabytes,
        age=language.age,
        bytes=language.bytes,
        every=language.every,
        number=language.number,
        say=language.say,
        **filters,
    )
    environment.globals.update(
        language=language,
        languages=LANGUAGES,
        phase_words=language.table(PHASE_WORDS),
        notice_words=NOTICE_WORDS,
        departure_words=language.table(DEPARTURE_WORDS),
        via_words=VIA_WORDS,
        name_of=name_of,
        provider_cards=PROVIDER_CARDS,
        provider_words=language.table(PROVIDER_WORDS),
        channel_words=CHANNEL_WORDS,
        channel_texts=CHANNEL_TEXTS,
        settled=is_settled,
        cause_words=language.table(CAUSE_WORDS),
        restorable=lambda instance: instance.phase in SETTLED,
        timeline=timeline,
        waits_for_machine=waits_for_machine,
    )
    return Jinja2Templates(env=environment)


def page_language(request: Request, name: str) -> Language:
    """The language in which this request gets a template."""
    return ENGLISH if name.startswith(FOR_OPERATORS) else language_of(request)


def render(request: Request, name: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any) -> Response:
    """A page. It knows its visitor, and so holds their CSRF token, only where a browser navigates to it; a script, frame or
    worker of another page on this origin gets the same page as a stranger."""
    web, language = web_of(request), page_language(request, name)
    visitor = getattr(request.state, "visitor", None) if navigates(request.headers) else None
    base = {
        "options": web.options,
        "visitor": visitor,
        "done_words": language.say(said_by(request)),
        "isolation_note_is_shown": not has_hidden(request, web.options.isolation_note),
    }
    return web.templates[language.code].TemplateResponse(request, name, {**base, **context}, status, dict(headers or {}))
