"""OpenClaw is loaded on the machine that an instance moves to while the old one still writes its state."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR, OpenClawRelease, installed_release
from openclaw_hosted.adapters.local.runtimes import WAIT_FILE
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.gateways import STAND_BY_SECONDS
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.stand_in import install_stand_in
from tests.support.waiting import until

AHEAD = PLUGIN_DIR / "ahead.mjs"


@pytest.fixture
async def computer(tmp_path: Path) -> AsyncIterator[Computer]:
    install_stand_in(tmp_path)
    release = installed_release(tmp_path)
    assert release is not None
    made = Computer(tmp_path, release)
    yield made
    await made.clear()


async def serving(computer: Computer) -> tuple[str, GatewaySpec]:
    ref, spec = await computer.launch()
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    return ref, spec


async def prepared(computer: Computer, spec: GatewaySpec) -> tuple[str, GatewaySpec]:
    """A hot spare that was told to get ready for the instance of `spec`."""
    ref, _ = await serving(computer)
    moved = replace(spec, generation=spec.generation + 1)
    await computer.gateways.prepare(seat(ref, moved), moved)
    return ref, moved


async def free(computer: Computer, ref: str, spec: GatewaySpec) -> None:
    await computer.gateways.stop(seat(ref, spec))
    await computer.volumes.detach(spec.volume_id, MachineId(ref))


async def test_what_is_loaded_ahead_begins_only_once_the_old_machine_has_let_go(computer: Computer) -> None:
    old, spec = await serving(computer)
    new, moved = await prepared(computer, spec)
    waiting = computer.process(new).status().child_pid
    await computer.vault.grant(spec.instance_id, MachineId(new))
    with pytest.raises(Conflict):
        await computer.gateways.start(seat(new, moved), moved)
    status = await computer.gateways.status(seat(new, moved))
    assert (status.running, status.ready, status.instance_id) == (True, False, None)
    assert await computer.is_ready(old)
    assert {seen.attached_to for seen in await computer.volumes.list()} == {old, None}

    await free(computer, old, spec)
    await computer.gateways.start(seat(new, moved), moved)
    await until(lambda: computer.is_ready(new))
    assert (await computer.gateways.status(seat(new, moved))).instance_id == spec.instance_id
    assert computer.process(new).status().child_pid == waiting


async def test_what_is_loaded_ahead_waits_again_where_it_was_killed_and_another_control_plane_starts_it(computer: Computer) -> None:
    old, spec = await serving(computer)
    new, moved = await prepared(computer, spec)
    process = computer.process(new)
    waiting = process.status().child_pid
    assert waiting is not None
    os.kill(waiting, signal.SIGKILL)
    await until(lambda: process.status().child_pid not in (None, waiting))
    again = process.status().child_pid
    gateways = computer.new_gateways()
    await gateways.prepare(seat(new, moved), moved)
    assert (process.status().child_pid, (await gateways.status(seat(new, moved))).ready) == (again, False)

    await free(computer, old, spec)
    await computer.vault.grant(spec.instance_id, MachineId(new))
    await gateways.start(seat(new, moved), moved)
    await until(lambda: computer.is_ready(new))


async def test_one_that_stands_by_has_ended_and_begins_with_the_state_that_is_there_then(computer: Computer) -> None:
    ref, spec = await serving(computer)
    process, before = computer.process(ref), computer.process(ref).status().child_pid
    assert await computer.gateways.stand_by(seat(ref, spec))
    waiting = process.status().child_pid
    gateways = computer.new_gateways()
    assert await gateways.stand_by(seat(ref, spec))
    status = await gateways.status(seat(ref, spec))
    assert (status.running, status.ready, status.stands_by) == (True, False, True)
    assert before != waiting == process.status().child_pid

    state = computer.volumes.state_dir(spec.volume_id)
    state.rename(state.with_name("before"))
    shutil.copytree(state.with_name("before"), state)
    await gateways.revive(seat(ref, spec))
    assert not await computer.is_ready(ref)
    await gateways.restart(seat(ref, spec))
    await until(lambda: computer.is_ready(ref))
    assert (process.status().child_pid, (await gateways.status(seat(ref, spec))).stands_by) == (waiting, False)


async def test_one_that_was_forgotten_while_it_stood_by_begins_when_it_is_revived(computer: Computer) -> None:
    ref, spec = await serving(computer)
    assert await computer.gateways.stand_by(seat(ref, spec))
    wait = computer.data_dir / "machines" / ref / WAIT_FILE
    long_ago = wait.stat().st_mtime - STAND_BY_SECONDS
    os.utime(wait, (long_ago, long_ago))
    assert not (await computer.gateways.status(seat(ref, spec))).stands_by
    await computer.gateways.revive(seat(ref, spec))
    await until(lambda: computer.is_ready(ref))


async def test_what_waits_for_its_volume_neither_stands_by_nor_begins_when_it_is_revived_or_restarted(computer: Computer) -> None:
    _, spec = await serving(computer)
    new, moved = await prepared(computer, spec)
    assert not await computer.gateways.stand_by(seat(new, moved))
    await computer.gateways.revive(seat(new, moved))
    await computer.gateways.restart(seat(new, moved))
    wait = computer.data_dir / "machines" / new / WAIT_FILE
    assert wait.exists()
    assert not (await computer.gateways.status(seat(new, moved))).ready


@pytest.mark.openclaw
def test_loading_openclaw_ahead_takes_all_its_parts_and_opens_neither_state_nor_port_nor_program(
    tmp_path: Path, release: OpenClawRelease
) -> None:
    wait, home, state = tmp_path / "wait", tmp_path / "home", tmp_path / "state"
    wait.write_text("the order")
    home.mkdir()
    environment = {
        "HOME": str(home), "OPENCLAW_HOME": str(home), "OPENCLAW_STATE_DIR": str(state), "OPENCLAW_HOSTED_WAIT": str(wait),
        "TMPDIR": str(tmp_path), "OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED": "1",
    }  # fmt: skip
    command = (str(NODE_DIR / "bin" / "node"), "--import", str(AHEAD), str(release.entry), "gateway")
    with subprocess.Popen(command, env=environment, cwd=home, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            said = program.stdout.readline()
            seen = psutil.Process(program.pid)
            assert (seen.children(), seen.net_connections(), list(home.iterdir()), state.exists()) == ([], [], [], False)
        finally:
            program.kill()
    wanted = len(re.findall(r'^  "', AHEAD.read_text(), re.MULTILINE))
    match = re.match(r"oc-hosted: (\d+) parts are loaded, waiting for the state \(the order\)", said)
    assert match is not None
    assert int(match[1]) >= wanted > 30
