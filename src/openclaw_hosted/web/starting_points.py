"""What the form of a new instance can begin with: a name and settings that go together. Everything stays the user's to change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.gateway import Channel, ModelProvider
from openclaw_hosted.domain.naming import free_name
from openclaw_hosted.web.forms import InstanceForm
from openclaw_hosted.web.language import Language


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """One of them. `key` names it in an address."""

    key: str
    title: str
    text: str
    name: str
    provider: ModelProvider
    model: str = ""
    base_url: str = ""
    channels: frozenset[Channel] = frozenset()


STARTING_POINTS: Final = (
    StartingPoint("first-look", "First look", "No key, no cost. It repeats what you say.", "Assistant", ModelProvider.ECHO),
    StartingPoint("everyday", "Everyday assistant", "Claude, with a key from Anthropic.", "Assistant", ModelProvider.ANTHROPIC),
    StartingPoint("gpt", "GPT assistant", "GPT, with a key from OpenAI.", "Assistant", ModelProvider.OPENAI),
    StartingPoint(
        "telegram", "Telegram bot", "Claude, and you write to it from your phone.", "Telegram assistant", ModelProvider.ANTHROPIC,
        channels=frozenset({Channel.TELEGRAM}),
    ),
    StartingPoint("many-models", "Many models", "One OpenRouter key for all of them.", "Assistant", ModelProvider.OPENROUTER),
    StartingPoint(
        "own-model", "Your own model", "Ollama on your computer or network.", "Local assistant", ModelProvider.COMPATIBLE,
        base_url="http://localhost:11434/v1",
    ),
)  # fmt: skip


def starting_points(channels: Collection[Channel]) -> list[StartingPoint]:
    """Those that need no other channels than these."""
    return [point for point in STARTING_POINTS if point.channels <= frozenset(channels)]


def start_form(key: str, channels: Collection[Channel], taken: Collection[str], language: Language) -> tuple[str, InstanceForm]:
    """The starting point that `key` names, or the first one, and the form that it makes; its name is none of those taken."""
    points = starting_points(channels)
    point = next((each for each in points if each.key == key), points[0])
    form = InstanceForm(free_name(language.say(point.name), taken), point.provider, point.model, point.base_url, point.channels)
    return point.key, form
