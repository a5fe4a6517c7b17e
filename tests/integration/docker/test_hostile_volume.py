"""A tenant with the real OpenClaw attacks the backup from inside the container.

The trigger keeps the tenant's own OpenClaw from ending as well, so the container is taken away at the end.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress

import pytest

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.domain.errors import PortError
from tests.integration.backup.owner import kept_of
from tests.integration.docker.inside import container, run
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker, pytest.mark.long]
CANARY = "the sealed credentials of everybody"
RACE = """
const fs = require("fs"), { DatabaseSync } = require("node:sqlite");
const base = "/home/node/.openclaw", race = `${base}/race`;
const put = (make, n) => { make(`${race}/new`); fs.renameSync(`${race}/new`, `${race}/f${n}.sqlite`); };
new DatabaseSync(`${base}/mine.sqlite`).exec("CREATE TABLE mine (x)");
fs.mkdirSync(race);
for (;;) {
  for (let n = 0; n < 200; n++) put((to) => fs.linkSync(`${base}/mine.sqlite`, to), n);
  for (let n = 0; n < 200; n++) put((to) => fs.symlinkSync("../../../../platform.sqlite", to), n);
}
"""
TRIGGER = """
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync("/home/node/.openclaw/state/openclaw.sqlite");
database.exec("CREATE TABLE many AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000) SELECT x FROM c");
for (const table of ["state_leases", "agent_database_leases", "delivery_queue_entries"])
  if (database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table))
    database.exec(`CREATE TRIGGER endless_${table} BEFORE DELETE ON ${table}
      WHEN (SELECT count(*) FROM many a, many b, many c, many d, many e, many f) > 0 BEGIN SELECT 1; END`);
"""


@pytest.mark.parametrize("any_image", ["openclaw"], indirect=True)
async def test_neither_a_race_nor_a_trigger_from_inside_gets_anywhere(computer: Computer) -> None:
    with closing(sqlite3.connect(computer.data_dir / "platform.sqlite")) as database, database:
        database.execute(f"CREATE TABLE users (secret DEFAULT '{CANARY}')")
    ref, spec = await computer.launch()
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref), 300, 0.2)
    volume = computer.volumes.state_dir(spec.volume_id).parent
    racing = asyncio.create_task(run(ref, "node", "-e", RACE))
    await until((volume / "state/race/f199.sqlite").is_symlink, 60)
    for _ in range(3):
        out, kept = await asyncio.wait_for(asyncio.to_thread(kept_of, volume), PATIENCE_SECONDS)
        for path in out.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert CANARY.encode() not in path.read_bytes(), path
        assert not [line for line in kept.left_out if "state/openclaw.sqlite" in line]
        with closing(sqlite3.connect(out / "state/state/openclaw.sqlite")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("SELECT count(*) FROM state_leases").fetchone() == (0,)
    racing.cancel()
    with suppress(asyncio.CancelledError, PortError):
        await racing
    await run(ref, "node", "-e", TRIGGER)
    _, kept = await asyncio.wait_for(asyncio.to_thread(kept_of, volume), PATIENCE_SECONDS)
    assert [line for line in kept.left_out if "state/openclaw.sqlite: copied as it was" in line]
    assert await computer.is_ready(ref)
    await computer.machines.terminate(ref)
    await docker("rm", "--force", container(ref))
