"""An OpenClaw from home, by the command, over the real web application, into archives as one computer keeps them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from openclaw_hosted.adapters.local.restore_points import LocalRestorePoints
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.cli.main import app
from openclaw_hosted.domain.account import User
from tests.integration.web.conftest import BOT_TOKEN, World, served
from tests.support.actors import acting
from tests.support.store import new_store

KEYS = {
    "in the variables": "sk-ant-in-the-variables-0001", "in the profiles": "sk-or-in-the-profiles-000002",
    "in the database": "sk-in-the-database-00000003", "of a tool": "brave-key-of-a-tool-0000004",
    "of the gateway": "gateway-token-0000000000005",
    "shared": "sk-shared-by-all-agents-006",
}  # fmt: skip


def a_database(path: Path, *statements: tuple[str, *tuple[str, ...]]) -> None:
    """Each a statement with what it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    for statement, *given in statements:
        database.execute(statement, given)
    database.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What OpenClaw keeps at home, with a key in each place where it keeps any."""
    state = tmp_path / "home" / ".openclaw"
    (state / "workspace").mkdir(parents=True)
    configuration = {
        "agents": {"defaults": {"model": {"primary": "anthropic/claude-fable-5"}}},
        "channels": {"telegram": {"botToken": "${TELEGRAM_BOT_TOKEN}"}}, "gateway": {"auth": {"token": KEYS["of the gateway"]}},
        "tools": {"web": {"search": {"apiKey": KEYS["of a tool"]}}},
    }  # fmt: skip
    (state / "openclaw.json").write_text(json.dumps(configuration))
    (state / "openclaw.json.bak").write_text(json.dumps(configuration))
    (state / ".env").write_text(
        f"export ANTHROPIC_API_KEY='{KEYS['in the variables']}'\nTELEGRAM_BOT_TOKEN={BOT_TOKEN}\n# nothing\nLOG_LEVEL=debug\n"
    )
    profiles = {"profiles": {"openrouter:default": {"type": "api_key", "provider": "openrouter", "key": KEYS["in the profiles"]}}}
    agent = state / "agents" / "main" / "agent"
    stored = {"profiles": {"openai:default": {"type": "api_key", "provider": "openai", "key": KEYS["in the database"]}}}
    a_database(
        agent / "openclaw-agent.sqlite", ("CREATE TABLE said (line TEXT)",), ("INSERT INTO said VALUES ('buy milk')",),
        ("CREATE TABLE auth_profile_store (store_key TEXT, store_json TEXT)",),
        ("INSERT INTO auth_profile_store VALUES ('primary', ?)", json.dumps(stored)),
    )  # fmt: skip
    shared = {"profiles": {"google:default": {"type": "api_key", "provider": "google", "key": KEYS["shared"]}}}
    a_database(
        state / "state" / "openclaw.sqlite", ("CREATE TABLE config_machine_state (state_key TEXT, value_json TEXT)",),
        ("INSERT INTO config_machine_state VALUES ('authProfiles.store', ?)", json.dumps(shared)),
        ("INSERT INTO config_machine_state VALUES ('other', '1')",),
        ("CREATE TABLE device_auth_tokens (token TEXT)",), ("INSERT INTO device_auth_tokens VALUES ('a-token-of-a-phone-08')",),
    )  # fmt: skip
    (agent / "auth-profiles.json").write_text(json.dumps(profiles))
    (state / "credentials").mkdir()
    (state / "credentials" / "oauth.json").write_text('{"refresh": "a-refresh-token-00000007"}')
    (state / "credentials" / "telegram-allowFrom.json").write_text('["123"]')
    (state / "workspace" / "notes.md").write_text("buy milk")
    (state / "workspace" / "curl.sh").write_text(f"curl -H 'x-api-key: {KEYS['in the variables']}'")
    (state / "workspace" / "out").symlink_to("/etc/passwd")
    (state / "workspace" / "in").symlink_to("notes.md")
    (state / "workspace" / "twin.md").hardlink_to(state / "workspace" / "notes.md")
    return state


@dataclass
class Cli:
    """The command, signed in as somebody to the platform that is served."""

    address: str
    token: str
    points: Path

    async def __call__(self, *words: str) -> Result:
        environment = {"OPENCLAW_HOSTED_URL": self.address, "OPENCLAW_HOSTED_TOKEN": self.token}
        return await asyncio.to_thread(CliRunner().invoke, app, ["migrate", "import", *words], env=environment)

    def brought(self, point: str) -> Path:
        return self.points / f"{point}.tar.gz"


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[World]:
    store = await new_store(tmp_path / "platform.sqlite")
    yield World(store, real_points=LocalRestorePoints(tmp_path / "data", LocalVolumes(tmp_path / "data")))
    await store.aclose()


@pytest.fixture
async def owner(platform: World) -> User:
    return await platform.user("owner")


@pytest.fixture
async def cli(platform: World, owner: User, tmp_path: Path) -> AsyncIterator[Cli]:
    token = await platform.kit.accounts.create_token(acting(owner), "test")
    async with served(platform) as address:
        yield Cli(address, token, tmp_path / "data" / "restore-points")


def said_by(done: Result) -> str:
    """On one line."""
    return " ".join(f"{done.output} {done.exception or ''}".split())


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / "openclaw-volume" / "state"


@pytest.mark.parametrize("packed", [False, True], ids=["a folder", "an archive"])
async def test_an_openclaw_comes_from_home_with_its_keys_in_the_vault_and_nowhere_else(
    cli: Cli, home: Path, tmp_path: Path, packed: bool
) -> None:
    source = home
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file() and not path.is_symlink()}
    if packed:
        source = tmp_path / "home.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            (home / "workspace" / "out").unlink()
            archive.add(home, ".openclaw")
    done = await cli("--from", str(source), "--name", "Mine", "--yes", "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["settings"] == made["settings"] | {"provider": "anthropic", "model": "claude-fable-5", "channels": ["telegram"]}
    assert sorted(made["credentials"]) == ["modelApiKey", "telegramBotToken"]
    (archive_path,) = cli.points.glob("*.tar.gz")
    state = unpacked(archive_path, tmp_path / "unpacked")
    brought = b"".join(path.read_bytes() for path in state.parent.rglob("*") if path.is_file() and not path.is_symlink())
    for place, key in {
        **KEYS,
        "the bot's": BOT_TOKEN,
        "for refreshing": "a-refresh-token-00000007",
        "a phone's": "a-token-of-a-phone-08",
    }.items():
        assert key.encode() not in brought, place
    assert (state / "workspace" / "notes.md").read_text() == (state / "workspace" / "twin.md").read_text() == "buy milk"
    assert (state / "credentials" / "telegram-allowFrom.json").exists()
    assert not (state / "workspace" / "curl.sh").exists()
    database = sqlite3.connect(state / "agents" / "main" / "agent" / "openclaw-agent.sqlite")
    assert database.execute("SELECT line FROM said").fetchall() == [("buy milk",)]
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    assert {path: path.stat().st_mtime_ns for path in before} == before


async def test_what_is_found_and_what_stays_is_said_without_a_value(cli: Cli, home: Path) -> None:
    done = await cli("--from", str(home), "--yes")
    assert done.exit_code == 0, done.output
    for line in (
        "modelApiKey", "telegramBotToken", "workspace/curl.sh: it holds a key", "workspace/out: it is a link that leads out",
        "OPENAI_API_KEY has no place here", "credentials/oauth.json: it is for keys",
    ):  # fmt: skip
        assert line in said_by(done), said_by(done)
    assert not [key for key in (*KEYS.values(), BOT_TOKEN) if key in said_by(done)]


async def test_a_key_in_a_conversation_is_named_and_comes_only_if_that_is_wanted(cli: Cli, home: Path) -> None:
    database = home / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
    a_database(database, ("INSERT INTO said VALUES (?)", f"my key is {KEYS['in the variables']}"))
    done = await cli("--from", str(home), "--yes")
    assert done.exit_code != 0
    assert "agents/main/agent/openclaw-agent.sqlite holds one of your keys" in said_by(done)
    assert not list(cli.points.glob("*"))
    assert (await cli("--from", str(home), "--yes", "--keep-mentions")).exit_code == 0


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda home: (home / "openclaw.json").unlink(), "is no state directory of OpenClaw"),
        (lambda home: (home / "state" / "openclaw.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000), "can't be read"),
    ],
    ids=["no configuration", "a broken database"],
)
async def test_what_can_not_be_brought_is_named_and_nothing_is_made(cli: Cli, home: Path, harm: object, says: str) -> None:
    harm(home)  # type: ignore[operator]
    done = await cli("--from", str(home), "--yes")
    assert done.exit_code != 0
    assert says in said_by(done)
    assert not list(cli.points.glob("*"))


async def test_nothing_is_sent_before_the_one_at_home_is_said_to_be_stopped(cli: Cli, home: Path) -> None:
    assert (await cli("--from", str(home))).exit_code != 0
    assert "give --yes" in said_by(await cli("--from", str(home), "--json"))
    assert not list(cli.points.glob("*"))
