"""`openclaw-hosted adopt` on one computer, where the database is gone and the data directory is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw_hosted import datadir
from openclaw_hosted.adapters.local.files import write_json
from openclaw_hosted.adapters.local.ownership import LocalOwnership
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, volume_of
from openclaw_hosted.domain.record import InstanceRecord
from tests.integration.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("loops_of_its_own")
MARK = "0123abcd"
MINE, LONELY = InstanceId("oc-22222222"), InstanceId("oc-33333333")
ADA = InstanceRecord(UserId("us-ada"), "ada@example.com", "Ada’s", GatewaySettings(ModelProvider.OPENAI), 2, 5, 1_700_000_000.0)
KEY = "sk-of-ada-0001"


async def leave(data_dir: Path) -> None:
    """What a platform leaves whose database is lost: an instance whose machine is stopped, and one that waits for a machine."""
    datadir.prepare(data_dir)
    await LocalOwnership(data_dir).claim(MARK)
    vault, volumes, machine = LocalVault(data_dir), LocalVolumes(data_dir), data_dir / "machines" / "mc-one"
    await vault.put(MINE, {Credential.GATEWAY_TOKEN: "token", Credential.MODEL_API_KEY: KEY}, 5, ADA)
    await vault.put(LONELY, {Credential.GATEWAY_TOKEN: "token"}, 0, ADA)
    machine.mkdir()
    facts = {"machine_id": "mc-one", "volume_id": volume_of(MINE), "reserved_instance_id": MINE, "image": "1", "port": 40000}
    write_json(machine / "machine.json", facts)
    write_json(machine / "labels.json", {"Status": "assigned", "UserId": ADA.owner_id, "InstanceId": MINE})
    for instance_id in (MINE, LONELY):
        await volumes.create(volume_of(instance_id), "mc-one")
        await volumes.mark(volume_of(instance_id), instance_id)
    await volumes.attach(volume_of(MINE), MachineId("mc-one"))


def test_a_lost_database_is_rebuilt_once_its_platform_is_named(cli: Cli) -> None:
    asyncio.run(leave(cli.data_dir))
    files = {
        path: path.read_bytes()
        for folder in ("vault", "machines", "volumes")
        for path in (cli.data_dir / folder).rglob("*")
        if path.is_file()
    }
    planned = cli("adopt", "--dry-run", "--json")
    assert planned.code == 0, planned.stderr
    told = {each["id"]: each for each in planned.json["instances"]}
    assert planned.json["platform"] == MARK
    assert (told[MINE]["name"], told[MINE]["owner_email"], told[MINE]["machine"]) == ("Ada’s", "ada@example.com", "mc-one")
    assert told[LONELY]["what"] == "gets another machine"
    assert planned.json["links"] == []

    for unnamed in ((), ("--platform", "ffffffff")):
        refused = cli("adopt", *unnamed)
        assert refused.code == 2
        assert f"adopt --platform {MARK}" in refused.stderr
    assert cli("users", "list", "--json").json["items"] == []

    done = cli("adopt", "--platform", MARK, "--admin", "ada@example.com", "--json")
    assert done.code == 0, done.stderr
    (link,) = done.json["links"]
    assert (link["email"], "/reset/" in link["url"]) == ("ada@example.com", True)
    assert done.json["setup_link"] is None
    assert any("passwords" in line for line in done.json["not_known"])
    shown = {each["id"]: each for each in cli("instances", "list", "--user", "ada@example.com", "--json").json["items"]}
    assert {key: each["phase"] for key, each in shown.items()} == {MINE: "placing", LONELY: "replacing"}
    assert (shown[MINE]["name"], shown[MINE]["settings"]["provider"], shown[MINE]["credentials"]) == ("Ada’s", "openai", ["modelApiKey"])
    assert [(each["email"], each["role"]) for each in cli("users", "list", "--json").json["items"]] == [("ada@example.com", "admin")]
    assert {path: path.read_bytes() for path in files} == files, "nothing but the database is changed"
    assert KEY not in planned.stdout + done.stdout + done.stderr

    again = cli("adopt", "--platform", MARK)
    assert again.code == 5
    assert "instances: 2, machines: 1" in again.stderr


def test_people_read_what_would_become_of_what(cli: Cli) -> None:
    asyncio.run(leave(cli.data_dir))
    shown = cli("adopt", "--dry-run")
    assert f"Platform {MARK} (nothing is changed)" in shown.stdout
    assert "ada@example.com" in shown.stdout
    assert "Not known:" in shown.stdout
    assert f"adopt --platform {MARK}" in shown.stderr


def test_where_nothing_says_whose_it_is_nothing_is_adopted(cli: Cli) -> None:
    refused = cli("adopt", "--dry-run")
    assert refused.code == 5
    assert "DEPLOYMENT_NAME" in refused.stderr


def test_an_admin_who_owned_nothing_gets_a_link_for_a_new_account(cli: Cli) -> None:
    asyncio.run(leave(cli.data_dir))
    done = cli("adopt", "--platform", MARK, "--admin", "boss@example.com", "--json")
    assert "/setup/" in done.json["setup_link"]
