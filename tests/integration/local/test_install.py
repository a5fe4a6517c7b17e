"""Installing OpenClaw, where that fails or is not needed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local import install
from openclaw_hosted.adapters.local.install import ensure_openclaw
from openclaw_hosted.domain.errors import PortError, Unavailable
from tests.support.disk import small_disk
from tests.support.ports import free_port


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    monkeypatch.setattr(install, "NPM_OPTIONS", (*install.NPM_OPTIONS, "--fetch-retries=0"))


@pytest.mark.usefixtures("no_registry")
async def test_offline_it_says_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(Unavailable, match="Connect to the internet"):
        await ensure_openclaw(tmp_path / "data", lines.append)
    assert [path.name for path in (tmp_path / "data" / "openclaw").iterdir()] == [".lock"]
    assert any("Installing OpenClaw" in line for line in lines)


async def test_a_full_disk_is_said_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 9 * 10**8, 10**8))
    with pytest.raises(PortError, match=r"has 0\.1 GB free"):
        await ensure_openclaw(tmp_path, print)


@pytest.mark.openclaw
@pytest.mark.long
async def test_a_disk_that_becomes_full_meanwhile_is_named_and_nothing_half_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "FREE_BYTES_NEEDED", 0)
    with small_disk(tmp_path / "data", "64m"):
        with pytest.raises(PortError, match="The disk is full"):
            await ensure_openclaw(tmp_path / "data", print)
        assert [path.name for path in (tmp_path / "data" / "openclaw").iterdir()] == [".lock"]


@pytest.mark.usefixtures("no_registry")
async def test_two_at_once_take_turns(tmp_path: Path) -> None:
    lines: list[str] = []
    results = await asyncio.gather(*(ensure_openclaw(tmp_path, lines.append) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert "Another process is installing OpenClaw; waiting for it." in lines


@pytest.mark.openclaw
async def test_what_is_installed_is_not_downloaded_again(release: install.OpenClawRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}/")
    lines: list[str] = []
    assert await ensure_openclaw(release.root.parents[1], lines.append) == release
    assert not lines
    assert release.entry.exists()
