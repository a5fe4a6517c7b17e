"""Catalogues of users' pages: no text stands outside of them, and none is missing, stale or without its values."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from openclaw_hosted.web.language import CATALOGUES, ENGLISH, LANGUAGES
from openclaw_hosted.web.rendering import make_templates
from scripts.messages import as_mo, as_po, lacking, messages, updated, user_templates

CODES = sorted(path.stem for path in CATALOGUES.glob("*.po"))
VALUES = re.compile(r"%\(\w+\)s|\{\}")
SAID = frozenset({"aria-label", "alt", "title", "placeholder"})
HOLE = "\0"
ATTRIBUTES = frozenset({"width", "aria"})
"""Blocks and macros that stand within a tag."""
PLAIN = re.compile(
    r"https://\S+|OpenClaw|Hosted|tar -czf openclaw\.tar\.gz -C ~ \.openclaw|openclaw-hosted instances bring FILE NAME|root\.crt"
)
"""What is the same in each language."""


class Shown(HTMLParser):
    """Texts of a template's own HTML that a reader sees or hears."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - as the parser calls it
        self.texts += [value for name, value in attrs if name in SAID and value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def outside(environment: Environment, source: str) -> Iterator[str]:
    """Texts of a template that do not come from the catalogue."""
    tree = environment.parse(source)
    parts: list[nodes.Block | nodes.Macro] = [*tree.find_all(nodes.Block), *tree.find_all(nodes.Macro)]
    for part in parts:
        if part.name in ATTRIBUTES:
            part.body = []
    html = "".join(
        child.data if isinstance(child, nodes.TemplateData) else HOLE for output in tree.find_all(nodes.Output) for child in output.nodes
    )
    for text in Shown(html).texts:
        plain = PLAIN.sub("", text)
        if any(character.isalpha() for character in plain):
            yield text.strip()
    for output in tree.find_all(nodes.Output):
        for choice in output.find_all(nodes.CondExpr):
            for branch in (choice.expr1, choice.expr2):
                if isinstance(branch, nodes.Const) and isinstance(branch.value, str) and " " in branch.value.strip():
                    yield branch.value


@pytest.mark.parametrize("path", user_templates(), ids=lambda path: path.name)
def test_no_text_of_a_users_page_is_outside_of_the_catalogue(path: Path) -> None:
    assert list(outside(make_templates({}, ENGLISH).env, path.read_text())) == []


def test_a_text_outside_of_the_catalogue_is_noticed() -> None:
    environment = make_templates({}, ENGLISH).env
    page = '<p aria-label="Left out">{{ _("In it") }}</p><b>{% if x %}Forgotten{% endif %}</b>{{ "so many" if x else _("few") }}'
    assert set(outside(environment, page)) == {"Left out", "Forgotten", "so many"}


def test_each_language_has_a_catalogue_and_each_catalogue_a_language() -> None:
    assert {ENGLISH.code, *CODES} == set(LANGUAGES)


@pytest.mark.parametrize("code", CODES)
def test_a_catalogue_is_whole_and_current(code: str) -> None:
    """`make messages` mends what this finds; then translate what is new."""
    file = (CATALOGUES / f"{code}.po").read_bytes()
    catalogue = updated(code)
    assert lacking(catalogue) == []
    assert as_po(catalogue) == file
    assert as_mo(catalogue) == (CATALOGUES / f"{code}.mo").read_bytes()


@pytest.mark.parametrize("code", CODES)
def test_a_translation_has_the_values_of_its_text(code: str) -> None:
    for message in read_po(io.BytesIO((CATALOGUES / f"{code}.po").read_bytes())):
        if message.id:
            ids, strings = ((each,) if isinstance(each, str) else tuple(each or ()) for each in (message.id, message.string))
            assert sorted(set(VALUES.findall(ids[-1]))) == sorted(set(VALUES.findall(strings[-1]))), message.id
            assert ids[-1].count("{}") == strings[-1].count("{}"), message.id


def test_texts_of_errors_are_gathered_with_a_hole_for_each_value() -> None:
    assert {"Use at most {} characters; this has {}.", "Dismissed.", ("%(count)s hour", "%(count)s hours")} <= set(messages())
