"""The commands, from an older system in the lab to a platform on this computer, with a program that stands for OpenClaw.

Long: nine commands that load the whole platform, and what they do has proofs of its own (test_moving, test_copies, ecs/test_ecs).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from lab.cloud.latency import Delays
from lab.cloud.server import LabCloud
from tests.integration.migration.ecs.old_system import OldAccount
from tests.support.platform import RunningPlatform
from tests.support.ports import free_port
from tests.support.stand_in import install_stand_in

pytestmark = [pytest.mark.long, pytest.mark.slow]


@pytest.fixture
def account() -> Iterator[OldAccount]:
    cloud, session = LabCloud(delays=Delays(remembered_seconds=0.0)), botocore.session.Session()
    session.set_credentials("AKIAACCOUNT", "any")
    made = OldAccount(cloud, lambda name: session.create_client(name, region_name="us-west-2", endpoint_url=cloud.endpoint_url))
    made.build()
    made.add_user("user-1")
    yield made
    cloud.close()
    assert cloud.crashes == []


@pytest.fixture
def efs(tmp_path: Path) -> Path:
    """Where the old file system is mounted."""
    state = tmp_path / "efs" / "users" / "user-1" / "workspace"
    state.mkdir(parents=True)
    (state / "notes.md").write_text("buy milk")
    return tmp_path / "efs"


@pytest.fixture
def platform(tmp_path: Path, account: OldAccount, efs: Path) -> Iterator[RunningPlatform]:
    mapping = tmp_path / "old.yaml"
    mapping.write_text(json.dumps({"listeners": [account.listener], "state": {"mounts": {account.file_system: str(efs)}}}))
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIAACCOUNT", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-west-2",
        "AWS_ENDPOINT_URL": account.cloud.endpoint_url, "OPENCLAW_HOSTED_MAPPING": str(mapping),
    }  # fmt: skip
    made = RunningPlatform(tmp_path / "data", free_port(), environment)
    install_stand_in(made.data_dir)
    yield made
    made.end_all()
    shutil.rmtree(made.data_dir, ignore_errors=True)


def asked(platform: RunningPlatform, *command: str, fails: bool = False) -> Any:
    done = platform.cli("migrate", *command, "--json", check=False)
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_user_comes_by_command_with_their_files_and_goes_back_with_newer_ones(
    platform: RunningPlatform, account: OldAccount, efs: Path
) -> None:
    platform.start(spares=1)
    (planned,) = asked(platform, "plan")["users"]
    assert (planned["user"], planned["missing"], planned["size"]["files"]) == ("user-1", [], 1)
    (moved,) = asked(platform, "run", "--all", "--soak-seconds", "0")["items"]
    assert (moved["state"], moved["side"], moved["error"]) == ("done", "new", None)
    (rule,) = [each for each in account.client("elbv2").describe_rules(ListenerArn=account.listener)["Rules"] if not each["IsDefault"]]
    assert rule["Actions"][0]["RedirectConfig"]["Path"] == f"/{moved['instance_id']}/"
    volumes = platform.data_dir / "volumes"
    (notes,) = volumes.glob("*/state/workspace/notes.md")
    assert notes.read_text() == "buy milk"
    assert len(asked(platform, "decommission", "--dry-run")["obstacles"]) == 1
    asked(platform, "decommission", "--yes", fails=True)
    notes.write_text("buy bread")
    (back,) = asked(platform, "rollback", "user-1")["items"]
    assert (back["state"], back["side"]) == ("rolled_back", "old")
    assert (efs / "users" / "user-1" / "workspace" / "notes.md").read_text() == "buy bread"
    (service,) = account.client("ecs").describe_services(cluster="openclaw", services=["openclaw-user-1"])["services"]
    assert service["desiredCount"] == 1
    assert asked(platform, "status")["items"][0]["state"] == "rolled_back"
