"""One tenant does its worst to its own volume: everybody else's instance is looked after and backed up all the same."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.integration.bad_days.test_bad_days import created, machine_of, state_of
from tests.support.platform import RunningPlatform, wait_until

DEEP = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
ENDLESS = (
    "CREATE TRIGGER endless BEFORE DELETE ON state_leases"
    " WHEN (SELECT count(*) FROM many a, many b, many c, many d, many e, many f) > 0 BEGIN SELECT 1; END"
)
SCHEMA = (
    "CREATE TABLE many AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000) SELECT x FROM c",
    "CREATE TABLE state_leases (owner)",
    "INSERT INTO state_leases VALUES (1)",
    ENDLESS,
)

pytestmark = pytest.mark.slow


def do_its_worst(state: Path) -> None:
    (state / "state").mkdir(exist_ok=True)
    with closing(sqlite3.connect(state / "state/openclaw.sqlite")) as database, database:
        for statement in SCHEMA:
            database.execute(statement)
    os.mkfifo(state / "pipe")
    (state / "huge").touch()
    os.truncate(state / "huge", 1 << 40)
    (state / "out").symlink_to("../../../platform.sqlite")
    (state / "openclaw.json").write_bytes(DEEP)


def end_machine(machine: Path) -> None:
    """End supervisor and gateway by force: only liveness starts them again."""
    status = SupervisedProcess(machine).status()
    for pid in (status.supervisor_pid, status.child_pid):
        assert pid
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not SupervisedProcess(machine).is_alive(), 10)


def test_a_tenant_that_does_its_worst_harms_nobody_else(platform: RunningPlatform, tmp_path: Path) -> None:
    platform.start(spares=0)
    with platform.api() as api:
        worst, other = created(api, "Worst"), created(api, "Other")
        do_its_worst(state_of(platform, worst))
        (state_of(platform, other) / "note").write_text("mine")
        platform.kill()
        platform.start(spares=0)
        end_machine(machine_of(platform, other))
        wait_until(lambda: SupervisedProcess(machine_of(platform, other)).status().child_pid, 60, lambda: platform.output)
        made = json.loads(platform.cli("backup", str(tmp_path / "b"), "--json").stdout)
        assert made["incomplete"] == [volume_of(InstanceId(worst))]
        with tarfile.open(tmp_path / "b") as archive:
            note = archive.extractfile(f"volumes/{volume_of(InstanceId(other))}/state/note")
            assert note is not None
            assert note.read() == b"mine"
        assert (tmp_path / "b").stat().st_size < 5_000_000
