"""Keys that an OpenClaw keeps in its state: they go to the vault, and never along with the state.

The tables are those of OpenClaw 2026.9.6, made by SQLite as it makes them: strict, and one with a check that an older SQLite takes for
unsafe where it does not trust the schema.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.states.copies import FolderStateCopies
from openclaw_hosted.domain.gateway import Credential, ModelProvider
from openclaw_hosted.domain.migration import OldSettings, OldState
from openclaw_hosted.domain.old_state import read_settings
from tests.integration.migration.arrival import ARRIVAL, STATE

KEY, SHARED, OF_A_SECRET = "sk-ant-in-a-table-00000001", "sk-or-shared-by-agents-00002", "sk-openai-of-the-secret-003"
PROFILES = """CREATE TABLE auth_profile_store (
    store_key TEXT NOT NULL PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT"""
EVENTS = """CREATE TABLE transcript_events (
    session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT CHECK (event_json IS NULL OR json_valid(event_json)),
    PRIMARY KEY (session_id, seq))"""
MACHINE = """CREATE TABLE config_machine_state (
    state_key TEXT NOT NULL PRIMARY KEY, value_json TEXT NOT NULL, updated_at_ms INTEGER NOT NULL) STRICT"""
LEASES = "CREATE TABLE state_leases (scope TEXT NOT NULL PRIMARY KEY, owner TEXT)"
AGENT, GLOBAL = Path("agents/main/agent/openclaw-agent.sqlite"), Path("state/openclaw.sqlite")


def store(provider: str, key: str) -> str:
    return json.dumps({"version": 1, "profiles": {f"{provider}:default": {"type": "api_key", "provider": provider, "key": key}}})


def opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    return database


@pytest.fixture
def old(tmp_path: Path) -> Path:
    state = tmp_path / "efs" / "users" / "user-1"
    agent = opened(state / AGENT)
    agent.execute(PROFILES)
    agent.execute(EVENTS)
    agent.execute("INSERT INTO auth_profile_store VALUES ('primary', ?, 1)", (store("anthropic", KEY),))
    agent.execute("INSERT INTO transcript_events VALUES ('main', 1, ?)", (json.dumps({"text": "buy milk"}),))
    agent.close()
    shared = opened(state / GLOBAL)
    shared.execute(MACHINE)
    shared.execute("INSERT INTO config_machine_state VALUES ('authProfiles.store', ?, 1)", (store("openrouter", SHARED),))
    shared.execute("INSERT INTO config_machine_state VALUES ('gateway.seen', '1', 1)")
    shared.close()
    return state


def asked(path: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    rows = database.execute(query).fetchall()
    database.close()
    return rows


async def test_the_model_key_in_a_table_goes_to_the_vault_where_the_old_system_gave_none(copies: FolderStateCopies) -> None:
    found = await copies.with_keys(STATE, OldSettings(credentials={Credential.TELEGRAM_BOT_TOKEN: "1234:bot"}))
    assert found.settings.provider is ModelProvider.ANTHROPIC
    assert found.credentials == {Credential.MODEL_API_KEY: KEY, Credential.TELEGRAM_BOT_TOKEN: "1234:bot"}
    assert found.ignored == ("OPENROUTER_API_KEY",)
    assert KEY not in repr(found)


async def test_the_key_of_the_old_systems_secret_wins(copies: FolderStateCopies) -> None:
    found = await copies.with_keys(STATE, read_settings({"OPENAI_API_KEY": OF_A_SECRET}, None, None))
    assert (found.settings.provider, found.credentials) == (ModelProvider.OPENAI, {Credential.MODEL_API_KEY: OF_A_SECRET})
    assert found.ignored == ("ANTHROPIC_API_KEY in the state", "OPENROUTER_API_KEY in the state")


async def test_keys_in_tables_do_not_come_along_and_are_still_there_after_going_back(
    copies: FolderStateCopies, old: Path, new: Path
) -> None:
    await copies.bring(STATE, ARRIVAL)
    await copies.settle(STATE, ARRIVAL)
    await copies.install(ARRIVAL)
    everything = b"".join(path.read_bytes() for path in new.parent.rglob("*") if path.is_file())
    assert KEY.encode() not in everything
    assert SHARED.encode() not in everything
    assert asked(new / GLOBAL, "SELECT state_key FROM config_machine_state") == [("gateway.seen",)]
    assert asked(new / AGENT, "SELECT event_json FROM transcript_events") == [('{"text": "buy milk"}',)]

    agent = opened(new / AGENT)
    agent.execute("INSERT INTO transcript_events VALUES ('main', 2, ?)", (json.dumps({"text": "buy bread"}),))
    agent.close()
    await copies.carry_back(ARRIVAL, STATE)
    assert asked(old / AGENT, "SELECT store_json FROM auth_profile_store") == [(store("anthropic", KEY),)]
    assert asked(old / GLOBAL, "SELECT count(*) FROM config_machine_state") == [(2,)]
    assert asked(old / AGENT, "SELECT count(*) FROM transcript_events") == [(2,)]


async def test_neither_way_does_it_say_along_with_the_state_that_somebody_has_it_open(
    copies: FolderStateCopies, old: Path, new: Path
) -> None:
    """Else the next gateway, on another machine, is kept out for five minutes: OpenClaw looks for the owner's process on its own only."""
    shared = opened(old / GLOBAL)
    shared.execute(LEASES)
    shared.execute("INSERT INTO state_leases VALUES ('gateway-owner', 'a service that was killed')")
    shared.execute("CREATE TABLE delivery_queue_entries (text)")
    shared.execute("INSERT INTO delivery_queue_entries VALUES ('still to be sent')")
    shared.close()
    await copies.settle(STATE, ARRIVAL)
    await copies.install(ARRIVAL)
    assert asked(new / GLOBAL, "SELECT * FROM state_leases") == []
    assert asked(new / GLOBAL, "SELECT * FROM delivery_queue_entries") == [("still to be sent",)]
    shared = opened(new / GLOBAL)
    shared.execute("INSERT INTO state_leases VALUES ('gateway-owner', 'the new gateway, which rests')")
    shared.close()
    await copies.carry_back(ARRIVAL, STATE)
    assert asked(old / GLOBAL, "SELECT * FROM state_leases") == []
    assert asked(old / GLOBAL, "SELECT * FROM delivery_queue_entries") == [("still to be sent",)]


async def test_keys_in_a_file_are_found_too(copies: FolderStateCopies, old: Path) -> None:
    (old / AGENT).unlink()
    (old / GLOBAL).unlink()
    (old / "agents" / "main" / "agent" / "auth-profiles.json").write_text(store("google", "a-key-in-a-file-0004"))
    found = await copies.with_keys(STATE, OldSettings())
    assert (found.settings.provider, found.credentials) == (ModelProvider.GOOGLE, {Credential.MODEL_API_KEY: "a-key-in-a-file-0004"})


async def test_a_sign_in_that_can_not_be_brought_is_named(copies: FolderStateCopies, old: Path) -> None:
    (old / AGENT).unlink()
    (old / GLOBAL).unlink()
    body = {"profiles": {"openai-codex:me": {"type": "oauth", "provider": "openai-codex", "access": "a", "refresh": "b"}}}
    (old / "agents" / "main" / "agent" / "auth-profiles.json").write_text(json.dumps(body))
    found = await copies.with_keys(OldState(STATE.place), OldSettings())
    assert (found.credentials, found.ignored) == ({}, ("The sign-in 'openai-codex:me'",))


async def test_what_a_service_that_was_killed_left_in_its_log_comes_along(
    copies: FolderStateCopies, old: Path, new: Path, tmp_path: Path
) -> None:
    writing = opened(old / AGENT)
    writing.execute("INSERT INTO transcript_events VALUES ('main', 2, ?)", (json.dumps({"text": "buy bread"}),))
    writing.execute("UPDATE auth_profile_store SET store_json = ?", (store("anthropic", "sk-ant-newer-in-the-log-05"),))
    killed = tmp_path / "killed"
    shutil.copytree(old / AGENT.parent, killed)
    writing.close()
    shutil.rmtree(old / AGENT.parent)
    shutil.move(killed, old / AGENT.parent)
    assert (old / f"{AGENT}-wal").stat().st_size > 0
    found = await copies.with_keys(STATE, OldSettings())
    assert found.credentials == {Credential.MODEL_API_KEY: "sk-ant-newer-in-the-log-05"}
    await copies.settle(STATE, ARRIVAL)
    await copies.install(ARRIVAL)
    assert asked(new / AGENT, "SELECT seq FROM transcript_events") == [(1,), (2,)]
    assert asked(new / AGENT, "PRAGMA integrity_check") == [("ok",)]
    assert not (new / f"{AGENT}-wal").exists()
    assert b"sk-ant-newer" not in (new / AGENT).read_bytes()
