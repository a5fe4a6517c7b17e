"""States on their way from a shared folder to a machine's volume and back, by the script that ships, in the fast lab."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab.plane.plain_volumes import PlainVolume
from openclaw_hosted.adapters.local.states.copying import verify
from openclaw_hosted.adapters.local.states.parcels import ParcelStateCopies
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.errors import Conflict, Unavailable
from openclaw_hosted.domain.migration import OldState
from openclaw_hosted.ports.legacy import Arrival
from tests.integration.aws.running import BUCKET, left_behind, running, with_bucket
from tests.integration.aws.world import AwsWorld
from tests.support.aws import provided_on

STATE = OldState("fs-1:/users/user-1")
ODD_NAMES = ("with space.txt", "back\\slash.txt", "line\nbreak.txt", "-rf", "été.txt")


def add_line(state: Path, line: str) -> None:
    database = sqlite3.connect(state / "openclaw.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS said (line TEXT)")
    database.execute("INSERT INTO said VALUES (?)", (line,))
    database.close()


def lines(state: Path) -> list[str]:
    database = sqlite3.connect(state / "openclaw.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = [line for (line,) in database.execute("SELECT line FROM said")]
    database.close()
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    state = tmp_path / "efs" / "users" / "user-1"
    (state / "workspace" / "empty").mkdir(parents=True)
    for name in ODD_NAMES:
        (state / "workspace" / name).write_text(name)
    (state / "workspace" / "tidy.sh").write_text("#!/bin/sh")
    (state / "workspace" / "tidy.sh").chmod(0o755)
    (state / "workspace" / "latest").symlink_to("tidy.sh")
    (state / ".env").write_text("ANTHROPIC_API_KEY=sk-left-behind")
    add_line(state, "hello")
    return state


@dataclass
class Way:
    """From the old folder to an instance's volume."""

    world: AwsWorld
    provided: Provided
    arrival: Arrival
    volume: PlainVolume
    work: Path
    mounts: dict[str, Path]

    @property
    def new(self) -> Path:
        return self.volume.folder / "state"

    def copies(self, bucket: str = BUCKET) -> ParcelStateCopies:
        """As another process would have them."""
        assert self.provided.carrier is not None
        return ParcelStateCopies(self.work, self.mounts, self.provided.carrier(bucket))

    def left_behind(self) -> list[str]:
        """Objects and secrets that are there beside what the platform has."""
        return left_behind(self.world, "migration")


@pytest.fixture
async def way(world: AwsWorld, tmp_path: Path, old: Path) -> AsyncIterator[Way]:
    with_bucket(world)
    async with provided_on(world.lab.site) as provided, running(world, provided) as instance:
        arrival = Arrival(instance.place, instance.volume_id, instance.instance_id, "user-1-1")
        yield Way(world, provided, arrival, instance.volume, tmp_path / "work", {"fs-1": old.parents[1]})


def everything(folder: Path) -> dict[str, Any]:
    """Each file's content, link's target and folder, by their paths."""
    found: dict[str, Any] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            found[str(path.relative_to(folder))] = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


async def test_a_state_comes_whole_and_newer_goes_back(way: Way, old: Path) -> None:
    copies, configuration = way.copies(), (way.new / "openclaw.json").read_bytes()
    assert (await copies.check(STATE)).files == len(ODD_NAMES) + 2
    await copies.bring(STATE, way.arrival)
    assert not (way.new / "workspace").exists(), "the gateway does not see what is on its way"
    add_line(old, "meanwhile")
    (old / "workspace" / "with space.txt").unlink()
    (old / "workspace" / "plan.md").write_text("later")
    await way.copies().settle(STATE, way.arrival)
    await way.copies().install(way.arrival)
    verify(old, way.new)
    assert lines(way.new) == ["hello", "meanwhile"]
    assert (way.new / "openclaw.json").read_bytes() == configuration
    assert sorted(everything(way.new / "workspace")) == sorted({*ODD_NAMES, "tidy.sh", "latest", "empty", "plan.md"} - {"with space.txt"})
    assert os.access(way.new / "workspace" / "tidy.sh", os.X_OK)
    assert b"sk-left-behind" not in b"".join(path.read_bytes() for path in way.volume.folder.rglob("*") if path.is_file())
    assert {path.name for path in way.volume.folder.iterdir()} - {"state", "home", "instance-id"} == {"migrated"}
    assert not (way.work / way.arrival.instance_id).exists()

    add_line(way.new, "on the new side")
    (way.new / "workspace" / "été.txt").write_text("changed")
    await way.copies().carry_back(way.arrival, STATE)
    assert lines(old) == ["hello", "meanwhile", "on the new side"]
    assert (old / "workspace" / "été.txt").read_text() == "changed"
    assert (old / ".env").exists()
    assert way.left_behind() == []


async def test_a_last_copy_is_installed_once(way: Way) -> None:
    await way.copies().bring(STATE, way.arrival)
    with pytest.raises(Conflict, match="nothing was delivered"):
        await way.copies().install(way.arrival)
    assert not (way.new / "workspace").exists()
    for _ in range(2):
        await way.copies().settle(STATE, way.arrival)
    await way.copies().install(way.arrival)
    (way.new / "workspace" / "tidy.sh").write_text("written by the new gateway")
    await way.copies().settle(STATE, way.arrival)
    await way.copies().install(way.arrival)
    assert (way.new / "workspace" / "tidy.sh").read_text() == "written by the new gateway"


def forget_what_was_delivered(way: Way) -> None:
    """As on a volume that was made anew meanwhile."""
    (way.volume.folder / "incoming" / "content" / "workspace" / "tidy.sh").unlink()


def alter_what_was_delivered(way: Way) -> None:
    (way.volume.folder / "incoming" / "content" / "workspace" / "tidy.sh").write_text("#!/bin/zsh")


def put_a_folder_in_a_files_place(way: Way) -> None:
    file = way.volume.folder / "incoming" / "content" / "openclaw.sqlite"
    file.unlink(missing_ok=True)
    (file / "a").mkdir(parents=True)


async def test_what_became_of_the_first_copy_does_not_matter(way: Way, old: Path) -> None:
    for number, harm in enumerate((forget_what_was_delivered, alter_what_was_delivered, put_a_folder_in_a_files_place)):
        way.arrival = replace(way.arrival, mark=f"user-1-{number}")
        await way.copies().bring(STATE, way.arrival)
        harm(way)
        await way.copies().settle(STATE, way.arrival)
    await way.copies().install(way.arrival)
    verify(old, way.new)


async def test_a_machine_that_lost_its_power_between_two_moves_goes_on(way: Way, old: Path) -> None:
    content, replaced = way.volume.folder / "incoming" / "content", way.volume.folder / "replaced"
    for is_in_place in (False, True):
        way.arrival = replace(way.arrival, mark=f"user-1-{is_in_place}")
        await way.copies().settle(STATE, way.arrival)
        (content / "openclaw.json").write_bytes((way.new / "openclaw.json").read_bytes())
        way.new.rename(replaced)
        if is_in_place:
            content.rename(way.new)
        else:
            way.new.mkdir()
        await way.copies().install(way.arrival)
        verify(old, way.new)
        assert (way.new / "openclaw.json").read_text().startswith("{")
        assert not replaced.exists()


async def test_a_volume_of_another_is_left_alone(way: Way) -> None:
    way.volume.mark = "oc-another1"
    with pytest.raises(Conflict, match="holds the data of oc-another1"):
        await way.copies().settle(STATE, way.arrival)
    assert not (way.volume.folder / "incoming").exists()
    assert way.left_behind() == []


async def test_a_bucket_that_takes_nothing_leaves_nothing_behind_and_tells_no_address(way: Way) -> None:
    with pytest.raises(Unavailable, match="The bucket not-there in us-west-2 did not take or give a parcel: it answered 404") as raised:
        await way.copies("not-there").settle(STATE, way.arrival)
    assert "Signature" not in str(raised.value)
    assert way.left_behind() == []


async def test_the_address_of_a_parcel_stands_in_no_command(way: Way) -> None:
    await way.copies().settle(STATE, way.arrival)
    commands = way.world.lab.site.client("ssm").list_commands()["Commands"]
    sent = "".join("\n".join(each["Parameters"]["commands"]) for each in commands)
    assert "openclaw_states deliver" in sent
    assert "X-Amz-Signature" not in sent
    assert BUCKET not in sent
