"""States on their way from a shared folder to a volume of this computer, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup import databases
from openclaw_hosted.adapters.local.backup.databases import Unsettled
from openclaw_hosted.adapters.local.states import copies as module
from openclaw_hosted.adapters.local.states.copies import FolderStateCopies
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.migration import OldState
from tests.integration.migration.arrival import ARRIVAL, STATE


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What OpenClaw keeps: a conversation, a file, a database with a log beside it, and keys."""
    state = tmp_path / "efs" / "users" / "user-1"
    (state / "workspace").mkdir(parents=True)
    (state / "workspace" / "notes.md").write_text("buy milk")
    (state / "openclaw.json").write_text('{"models": {"apiKey": "sk-left-behind"}}')
    (state / ".env").write_text("ANTHROPIC_API_KEY=sk-left-behind")
    (state / "agents" / "main" / "agent").mkdir(parents=True)
    (state / "agents" / "main" / "agent" / "auth-profiles.json").write_text('{"key": "sk-left-behind"}')
    add_line(state, "hello")
    return state


def add_line(state: Path, line: str) -> None:
    """As a service that ended without taking its log into the database."""
    database = sqlite3.connect(state / "openclaw.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS said (line TEXT)")
    database.execute("INSERT INTO said VALUES (?)", (line,))
    database.close()


def lines(state: Path) -> list[str]:
    database = sqlite3.connect(state / "openclaw.sqlite")
    found = [line for (line,) in database.execute("SELECT line FROM said")]
    database.close()
    return found


async def brought(copies: FolderStateCopies) -> None:
    await copies.settle(STATE, ARRIVAL)
    await copies.install(ARRIVAL)


async def test_a_state_comes_without_its_keys_and_under_the_platforms_configuration(
    copies: FolderStateCopies, old: Path, new: Path
) -> None:
    assert (await copies.check(STATE)).files == 2
    first = await copies.bring(STATE, ARRIVAL)
    assert first.files == 1
    assert not (new / "workspace").exists()
    add_line(old, "meanwhile")
    (old / "workspace" / "plan.md").write_text("later")
    await brought(copies)
    assert lines(new) == ["hello", "meanwhile"]
    assert {path.name for path in (new / "workspace").iterdir()} == {"notes.md", "plan.md"}
    assert json.loads((new / "openclaw.json").read_text()) == {"gateway": {"port": 8080}}
    everything = b"".join(path.read_bytes() for path in new.parent.rglob("*") if path.is_file())
    assert b"sk-left-behind" not in everything
    assert not (new.parent / "incoming").exists()


async def test_a_program_stays_one(copies: FolderStateCopies, old: Path, new: Path) -> None:
    program = old / "workspace" / "tidy.sh"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    await brought(copies)
    assert [(new / "workspace" / name).stat().st_mode & 0o777 for name in ("tidy.sh", "notes.md")] == [0o700, 0o600]


@pytest.mark.parametrize("is_openclaws", [False, True], ids=["somebody else's", "OpenClaw's"])
async def test_a_database_that_this_sqlite_can_not_read_comes_as_it_is_where_it_holds_no_keys(
    copies: FolderStateCopies, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch, is_openclaws: bool
) -> None:
    def refuse(*_: object) -> None:
        raise Unsettled("unsafe use of json_valid()")

    if is_openclaws:
        add_line(old / "agents" / "main" / "agent", "hello")
    monkeypatch.setattr(databases, "settle_copy", refuse)
    if is_openclaws:
        with pytest.raises(Conflict, match=r"agents/main/agent/openclaw\.sqlite can't be read: unsafe use"):
            await copies.settle(STATE, ARRIVAL)
    else:
        await brought(copies)
        assert lines(new) == ["hello"]
        assert not list(new.glob("*.coming*"))


async def test_what_is_there_already_is_not_copied_again(copies: FolderStateCopies) -> None:
    assert (await copies.bring(STATE, ARRIVAL)).files == 1
    assert (await copies.bring(STATE, ARRIVAL)).files == 0


async def test_an_installation_is_done_once(copies: FolderStateCopies, new: Path) -> None:
    await brought(copies)
    (new / "workspace" / "notes.md").write_text("written by the new gateway")
    await copies.settle(STATE, ARRIVAL)
    await copies.install(ARRIVAL)
    assert (new / "workspace" / "notes.md").read_text() == "written by the new gateway"


@pytest.mark.parametrize("dies_after", [False, True], ids=["before the exchange", "after the exchange"])
async def test_an_installation_that_dies_on_the_way_is_gone_on_with(
    copies: FolderStateCopies, new: Path, monkeypatch: pytest.MonkeyPatch, dies_after: bool
) -> None:
    real: Callable[[Path, Path], None] = module._exchange

    def die(one: Path, other: Path) -> None:
        if dies_after:
            real(one, other)
        raise KeyboardInterrupt

    await copies.settle(STATE, ARRIVAL)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_exchange", die)
        with pytest.raises(KeyboardInterrupt):
            copies._install(ARRIVAL)
    await copies.settle(STATE, ARRIVAL)
    await copies.install(ARRIVAL)
    assert lines(new) == ["hello"]
    assert not (new.parent / "incoming").exists()


async def test_what_was_written_since_is_carried_back_and_the_old_configuration_stays(
    copies: FolderStateCopies, old: Path, new: Path
) -> None:
    await brought(copies)
    add_line(new, "on the new side")
    (new / "workspace" / "notes.md").write_text("buy bread")
    await copies.carry_back(ARRIVAL, STATE)
    assert lines(old) == ["hello", "on the new side"]
    assert (old / "workspace" / "notes.md").read_text() == "buy bread"
    assert "sk-left-behind" in (old / "openclaw.json").read_text()


async def test_a_database_that_is_not_whole_is_not_brought(copies: FolderStateCopies, old: Path) -> None:
    path = old / "openclaw.sqlite"
    body = bytearray(path.read_bytes())
    body[4096:] = b"\xff" * (len(body) - 4096)
    path.write_bytes(body)
    with pytest.raises(Conflict, match=r"openclaw\.sqlite"):
        await copies.settle(STATE, ARRIVAL)


@pytest.mark.parametrize("to", ["/etc/passwd", "../../../other"])
async def test_a_link_that_leads_out_is_refused_by_its_name(copies: FolderStateCopies, old: Path, to: str) -> None:
    (old / "workspace" / "way-out").symlink_to(to)
    with pytest.raises(Conflict, match="workspace/way-out is a link that leads out"):
        await copies.bring(STATE, ARRIVAL)


@pytest.mark.parametrize("place", ["fs-2:/users/user-1", "fs-1:/users/user-2", "fs-1:/users/../users/user-1"])
async def test_a_state_that_cannot_be_reached_is_said(copies: FolderStateCopies, place: str) -> None:
    with pytest.raises(NotFound):
        await copies.check(OldState(place))
