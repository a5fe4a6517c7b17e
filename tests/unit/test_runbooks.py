"""Each alarm has a page that says what to do, and each command on these pages is one that there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from openclaw_hosted.cli.main import app
from openclaw_hosted.domain.alarms import ALARMS
from openclaw_hosted.domain.causes import ADVICE
from tests.support.runbooks import PAGES, commands_by_page

ROOT = Path(__file__).resolve().parents[2]
ALARM = re.compile(r'alarm_name\s*=\s*"\$\{var\.deployment_name\}-([\w-]+)"\s*alarm_description\s*=\s*"([^"]*)"')
NO_COMMAND = (KeyError, typer.BadParameter.__mro__[1])
"""An unknown name, and what Typer raises for wrong usage."""
FIX = re.compile(r"openclaw-hosted [a-z-]+(?: [a-z-]+)?(?: [A-Z]+)?(?: --[a-z]+ [a-z]+)?")
PARTS = ("## What it means", "## See it", "## Mend it")


def alarms() -> dict[str, str]:
    """The name of each alarm, and its description."""
    return {name: said for path in sorted((ROOT / "terraform").glob("*.tf")) for name, said in ALARM.findall(path.read_text())}


def commands() -> list[tuple[str, str]]:
    """Each command that a runbook names, with its page."""
    return [(page, command) for page, each in commands_by_page().items() for command in each]


def parse(command: str) -> str:
    """The name of the command that would run. Raises `NO_COMMAND` for one that would not."""
    found, words = typer.main.get_command(app), shlex.split(command)[1:]
    while isinstance(found, TyperGroup) and (words or found.no_args_is_help):
        found, words = found.commands[words[0]], words[1:]
    found.make_context(str(found.name), words)
    return str(found.name)


def test_every_alarm_has_a_page_that_it_names_and_every_page_an_alarm() -> None:
    found = alarms()
    everything = "".join(path.read_text() for path in (ROOT / "terraform").glob("*.tf"))
    assert len(found) == everything.count('resource "aws_cloudwatch_metric_alarm"')
    assert set(found) == {alarm.name for alarm in ALARMS if alarm.metric is not None}
    assert {alarm.name for alarm in ALARMS} == {page.stem for page in PAGES.glob("*.md")} - {"README"}
    for name, said in found.items():
        assert said.endswith(f"docs/runbooks/{name}.md"), name
    for alarm in ALARMS:
        text = (ROOT / alarm.runbook).read_text()
        assert text.startswith(f"# {alarm.name}\n")
        assert [part for part in PARTS if part not in text] == [], alarm.name
        assert f"]({alarm.name}.md)" in (PAGES / "README.md").read_text()


def test_every_cause_names_a_page_that_there_is_and_commands_that_there_are() -> None:
    assert {advice.runbook for advice in ADVICE.values() if advice.runbook} <= {alarm.name for alarm in ALARMS}
    for advice in ADVICE.values():
        for command in FIX.findall(advice.fix):
            assert parse(command), command


def test_every_alarm_is_described_within_what_cloudwatch_takes() -> None:
    assert [name for name, said in alarms().items() if len(said) > 1024] == []


@pytest.mark.parametrize(("page", "command"), commands(), ids=str)
def test_a_command_of_a_runbook_is_one_that_there_is(page: str, command: str) -> None:
    assert parse(command), page


def test_a_command_that_there_is_not_would_be_noticed() -> None:
    assert len(commands()) > 10
    for wrong in ("openclaw-hosted machines mend MACHINE", "openclaw-hosted pool set", "openclaw-hosted machines list --everything"):
        with pytest.raises(NO_COMMAND):
            parse(wrong)
