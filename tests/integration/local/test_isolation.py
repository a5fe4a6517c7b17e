"""What isolates machines does not change by itself: an engine that fails is said, and processes never take its place unasked."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.docker.containers import HOST_FILE, DockerHost
from openclaw_hosted.adapters.local.docker.image import ensure_image
from openclaw_hosted.adapters.local.docker.network import MachineNetwork
from openclaw_hosted.adapters.local.files import write_json
from openclaw_hosted.adapters.local.install import installed_release
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.doctor.computer import Verdict
from openclaw_hosted.bootstrap.doctor.local import check_machines
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.bootstrap.providers import NOT_ISOLATED, provide
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.settings import load_settings
from tests.support.stand_in import install_stand_in
from tests.support.stand_in.engine import StandInEngine, engine

__all__ = ["engine"]
WAY_OUT = "--machines process"


async def provided(data_dir: Path, machines: str = "auto") -> Provided:
    if not (data_dir / "openclaw").exists():
        install_stand_in(data_dir)
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir, "MACHINES": machines})
    async with AsyncExitStack() as stack:
        return await provide(settings, "mark", SystemClock(), lambda _: None, stack)


def used_docker_before(data_dir: Path) -> None:
    network = MachineNetwork(*["x"] * len(MachineNetwork.__dataclass_fields__))
    data_dir.mkdir()
    write_json(data_dir / HOST_FILE, asdict(DockerHost("image", network)))


async def test_an_engine_that_refuses_for_a_moment_does_not_make_machines_processes(tmp_path: Path, engine: StandInEngine) -> None:
    engine.has_image()
    with pytest.raises(PortError, match=f"not now.*{WAY_OUT}"):
        await provided(tmp_path / "data")
    assert (await provided(tmp_path / "data", "process")).warning == NOT_ISOLATED


async def test_an_engine_that_is_away_does_not_make_machines_processes_that_were_containers(tmp_path: Path, engine: StandInEngine) -> None:
    used_docker_before(tmp_path / "data")
    engine.goes_away()
    with pytest.raises(PortError, match=f"does not answer.*{WAY_OUT}"):
        await provided(tmp_path / "data")
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": tmp_path / "data"})
    assert (await check_machines(settings)).verdict is Verdict.PROBLEM
    assert (await provided(tmp_path / "data", "process")).warning == NOT_ISOLATED


async def test_without_an_engine_a_first_start_makes_processes_and_says_so(tmp_path: Path, engine: StandInEngine) -> None:
    engine.goes_away()
    found = await provided(tmp_path / "data")
    assert found.warning == NOT_ISOLATED
    assert "does not answer" in found.notes[0]
    with pytest.raises(PortError, match="does not answer"):
        await provided(tmp_path / "data", "docker")


async def test_where_no_image_can_be_made_a_first_start_makes_processes_and_says_so(
    tmp_path: Path, engine: StandInEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.reaches_no_registry()
    has, missing = shutil.which, ("mmdebstrap",)
    monkeypatch.setattr(shutil, "which", lambda name, **given: None if name in missing else has(name, **given))
    found = await provided(tmp_path / "data")
    assert found.warning == NOT_ISOLATED
    assert "mmdebstrap" in found.notes[0]


async def test_two_data_directories_build_the_image_one_after_the_other_and_a_prune_of_others_does_no_harm(
    tmp_path: Path, engine: StandInEngine
) -> None:
    releases, lines = [], list[str]()
    for name in ("one", "two"):
        install_stand_in(tmp_path / name)
        release = installed_release(tmp_path / name)
        assert release is not None
        (tmp_path / "node").touch()
        releases.append(replace(release, node=tmp_path / "node"))
    first, second = await asyncio.gather(*(ensure_image(release, lines.append) for release in releases))
    assert first == second
    assert engine.builds == 1
    assert "Another process is building the image; waiting for it." in lines
