"""Pages, API documentation and command line take their words from one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import openclaw_hosted
from openclaw_hosted.cli import instances as command
from openclaw_hosted.domain import words
from openclaw_hosted.domain.actor import Via
from openclaw_hosted.domain.gateway import Channel, ModelProvider
from openclaw_hosted.domain.instance import Phase, StepName
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.restore_point import Cause
from openclaw_hosted.web.models_instances import InstanceOut, StepOut
from openclaw_hosted.web.rendering import make_templates

SOURCE = Path(openclaw_hosted.__file__).parent
TABLES: Mapping[str, tuple[type[StrEnum], Mapping[Any, str]]] = {
    "phases": (Phase, words.PHASE_WORDS),
    "steps": (StepName, words.STEP_WORDS),
    "causes": (Cause, words.CAUSE_WORDS),
    "notices": (NoticeKind, words.NOTICE_WORDS),
    "departures": (NoticeKind, words.DEPARTURE_WORDS),
    "ways": (Via, words.VIA_WORDS),
    "providers": (ModelProvider, words.PROVIDER_WORDS),
    "channels": (Channel, words.CHANNEL_WORDS),
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_each_code_has_words(name: str) -> None:
    codes, table = TABLES[name]
    assert set(table) == set(codes)
    assert not [text for text in table.values() if "_" in text]


@pytest.mark.parametrize("phase", sorted(Phase))
def test_pages_api_and_command_line_say_the_same_of_a_phase(phase: Phase) -> None:
    said = words.PHASE_WORDS[phase]
    page = make_templates({}).env.from_string("{{ phase_words[phase] }}").render(phase=phase)
    documented = InstanceOut.model_json_schema()["properties"]["phase"]["description"]
    assert page == said
    assert f"`{phase.value}`: {said}" in documented
    assert command.state_text({"phase": phase.value}) == said


def test_the_api_documents_the_steps() -> None:
    documented = StepOut.model_json_schema()["properties"]["name"]["description"]
    assert all(f"`{name.value}`: {text}" in documented for name, text in words.STEP_WORDS.items())


def test_a_phase_of_a_newer_platform_is_shown_as_it_is() -> None:
    assert command.state_text({"phase": "hibernating"}) == "hibernating"


def test_no_page_shows_the_code_of_a_phase_or_step() -> None:
    shown = re.compile(r"\{\{[^}|]*\.(phase|desired|cause)\s*(\|[^}]*)?\}\}")
    tables = re.compile(r"_words\[|\| tone")
    for template in (SOURCE / "web" / "templates").glob("*.html"):
        found = [match[0] for match in shown.finditer(template.read_text()) if not tables.search(match[0])]
        assert not found, f"{template.name} shows {found}"
