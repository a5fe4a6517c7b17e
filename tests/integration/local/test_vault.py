"""The local vault, its key, and sealing: on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.sealing import LocalSealer
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import Denied, NotFound
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId

IDS = SystemIds()
DOCUMENT = {Credential.MODEL_API_KEY: "sk-very-secret"}


async def test_no_file_holds_a_credential_in_the_clear_or_can_be_read_by_others(tmp_path: Path) -> None:
    await LocalVault(tmp_path).put(IDS.instance_id(), DOCUMENT, 1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    for path in files:
        assert b"very-secret" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


async def test_another_vault_object_reads_the_same_documents(tmp_path: Path) -> None:
    instance_id = IDS.instance_id()
    await LocalVault(tmp_path).put(instance_id, DOCUMENT, 1)
    assert dict(await LocalVault(tmp_path).get(instance_id)) == DOCUMENT


async def test_a_lost_key_is_reported_and_not_replaced(tmp_path: Path) -> None:
    await LocalVault(tmp_path).put(IDS.instance_id(), DOCUMENT, 1)
    (tmp_path / "vault.key").unlink()
    with pytest.raises(Denied, match="backup"):
        LocalVault(tmp_path)
    assert not (tmp_path / "vault.key").exists()


async def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    LocalVault(tmp_path)
    (tmp_path / "vault.key").chmod(0o644)
    with pytest.raises(Denied, match="chmod 600"):
        LocalVault(tmp_path)


@pytest.mark.parametrize("change", [{"revision": 9}, {"granted_to": "mc-22222222"}, {"retired": True}])
async def test_an_altered_header_is_noticed(tmp_path: Path, change: dict[str, object]) -> None:
    vault, instance_id = LocalVault(tmp_path), IDS.instance_id()
    await vault.put(instance_id, DOCUMENT, 1)
    path = tmp_path / "vault" / f"{instance_id}.json"
    body = json.loads(path.read_text())
    body["header"].update(change)
    path.write_text(json.dumps(body))
    with pytest.raises(Denied):
        await vault.get(instance_id)


async def test_a_document_moved_to_another_id_is_noticed(tmp_path: Path) -> None:
    vault, one, other = LocalVault(tmp_path), IDS.instance_id(), IDS.instance_id()
    await vault.put(one, DOCUMENT, 1)
    (tmp_path / "vault" / f"{one}.json").rename(tmp_path / "vault" / f"{other}.json")
    with pytest.raises(Denied):
        await vault.get(other)


async def test_only_the_machine_with_the_grant_reads(tmp_path: Path) -> None:
    vault, instance_id, mine, other = LocalVault(tmp_path), IDS.instance_id(), IDS.machine_id(), IDS.machine_id()
    await vault.put(instance_id, DOCUMENT, 1)
    with pytest.raises(Denied):
        await vault.get_as(mine, instance_id)
    await vault.grant(instance_id, other)
    await vault.grant(instance_id, mine)
    assert dict(await vault.get_as(mine, instance_id)) == DOCUMENT
    with pytest.raises(Denied):
        await vault.get_as(other, instance_id)


async def test_an_id_that_walks_paths_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await LocalVault(tmp_path).get(InstanceId("../vault.key"))


def test_what_was_sealed_is_unsealed_in_its_context_only(tmp_path: Path) -> None:
    sealer = LocalSealer(tmp_path)
    sealed = sealer.seal(b"key", "oc-22222222")
    assert b"key" not in sealed
    assert LocalSealer(tmp_path).unseal(sealed, "oc-22222222") == b"key"
    for altered, context in ((sealed, "oc-33333333"), (sealed[:-1] + b"\0", "oc-22222222"), (b"", "oc-22222222"), (b"\x01abc", "")):
        with pytest.raises(Denied):
            sealer.unseal(altered, context)
