"""What model providers list: which of it can hold a conversation, and how it is called. All of it is a stranger's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw_hosted.domain.gateway import is_model_id
from openclaw_hosted.ports.models import MODELS_LISTED

NOT_FOR_TALKING: Final = (
    "audio", "babbage", "codex-mini", "computer-use", "dall-e", "davinci", "embed", "image", "moderation", "realtime", "search",
    "sora", "transcribe", "tts", "whisper",
)  # fmt: skip
"""In the names of a provider's models for other things. A model that is left out by mistake can still be typed."""


def listed_ids(answer: Mapping[str, Any]) -> Sequence[str]:
    """The ids in a list of models, in its order, whatever the models are for; empty where it is none."""
    return [_id_of(entry) for entry in _entries(answer) if _id_of(entry)]


def models_for_talking(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids that a person may choose from."""
    ids = (_id_of(entry) for entry in _entries(answer) if _generates(entry))
    fitting = (found for found in ids if is_model_id(found) and not any(part in found.lower() for part in NOT_FOR_TALKING))
    return tuple(dict.fromkeys(fitting))[:MODELS_LISTED]


def _entries(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = answer.get("data", answer.get("models"))
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _id_of(entry: Mapping[str, Any]) -> str:
    return str(entry.get("id", entry.get("name", ""))).removeprefix("models/")


def _generates(entry: Mapping[str, Any]) -> bool:
    """Google says of each model what it can do; the others say nothing."""
    methods = entry.get("supportedGenerationMethods")
    return not isinstance(methods, list) or "generateContent" in methods
