"""The support bundle: secrets are planted wherever it looks, and none comes out."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.store import open_store
from tests.integration.cli.conftest import ADMIN, PASSWORD, Cli

PLAIN = "just-some-words-that-look-like-nothing"
"""A credential that only the vault tells to be one."""
PLANTED = {
    "admin": "hunter2 of the admin", "passphrase": "backup passphrase 123", "mail": "p@ss/of mail",
    "bot": "4242:AAExampleTokenOfATestBot-0123456789abcd",
    "plain": PLAIN, "openai": "sk-proj-abcdefghijklmnop", "aws": "AKIAIOSFODNN7EXAMPLE", "bearer": "abc.def-ghi~jkl+mno/pqr=",
    "named": "Tr0ub4dor&3", "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "url": "s3cr3t-in-url",
    "quoted": "line1\\nline2\"x",
    "link": "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6", "pem": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "session": "ochs_abcdefghijklmnopqrstuvwx",
    "github": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "webhook": "whsec_c2VjcmV0IG9mIHRoZSBvcGVyYXRvcnMgd2ViaG9vaw==",
}  # fmt: skip
SAID = [
    f"the provider answered {PLANTED['openai']}", f"key {PLANTED['aws']} used", f"Authorization: Bearer {PLANTED['bearer']}",
    f'{{"password": "{PLANTED["named"]}", "n": 1}}', f"DB_PASSWORD={PLANTED['named']}", f"token {PLANTED['jwt']}",
    f"postgresql://claw:{PLANTED['url']}@db/claw", f"the user's key is {PLAIN}", f"opened https://claw/setup/{PLANTED['link']}",
    f"-----BEGIN PRIVATE KEY-----\n{PLANTED['pem']}\n-----END PRIVATE KEY-----", f"cookie {PLANTED['session']}",
    f"push {PLANTED['github']}", f"bot at https://api.telegram.org/bot{PLANTED['bot']}/sendMessage", "an ordinary line",
    json.dumps({"said": PLANTED["quoted"]}),
]  # fmt: skip


def planted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_EMAIL", "root@example.com")
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_PASSWORD", PLANTED["admin"])
    monkeypatch.setenv("BACKUP_PASSPHRASE", PLANTED["passphrase"])
    monkeypatch.setenv("ALARM_EMAIL", "ops@example.com")
    monkeypatch.setenv("SMTP_URL", "smtps://ops:p%40ss%2Fof%20mail@mail.example.com")
    monkeypatch.setenv("ALARM_TELEGRAM_TOKEN", PLANTED["bot"])
    monkeypatch.setenv("ALARM_TELEGRAM_CHAT", "1")
    monkeypatch.setenv("ALARM_WEBHOOK_URL", f"https://hooks.example.com/{PLANTED['link']}")
    monkeypatch.setenv("ALARM_WEBHOOK_SECRET", PLANTED["webhook"])
    asyncio.run(plant_in_stores(cli.data_dir))
    logs = cli.data_dir / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "controller.log").write_text("\n".join([*SAID, f"mail refused {PLANTED['mail']} and {PLANTED['admin']}"]) + "\n")


async def plant_in_stores(data_dir: Path) -> None:
    await LocalVault(data_dir).put(
        InstanceId("oc-22222222"), {Credential.MODEL_API_KEY: PLAIN, Credential.GATEWAY_TOKEN: PLANTED["quoted"]}, 0
    )
    store = await open_store(f"sqlite:///{data_dir}/platform.sqlite")
    for number, said in enumerate(SAID):
        await store.platform.add_event(Event(EventName.LOOP_ROW_FAILED, float(number), detail={"error": said}))
    await store.platform.launch_failed(1.0, "\n".join(SAID))
    await store.aclose()


def test_no_secret_that_is_planted_anywhere_comes_out(with_admin: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = with_admin("instances", "create", "A private name", "--json").json["id"]
    planted(with_admin, monkeypatch)
    file = tmp_path / "support.tar.gz"
    done = with_admin("support-bundle", str(file), "--json")
    assert done.code == 0, done.stderr
    with tarfile.open(file) as archive:
        members = {member.name.removeprefix("support/"): archive.extractfile(member).read().decode() for member in archive}  # type: ignore[union-attr]
    everything = "\n".join(members.values())
    hidden = {**PLANTED, "password": PASSWORD, "who": ADMIN.partition("@")[0] + "@", "root": "root@", "name": "A private name"}
    found = [name for name, secret in hidden.items() if secret in everything or json.dumps(secret)[1:-1] in everything]
    assert found == []
    assert sorted(members) == sorted(done.json["members"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert "an ordinary line" in members["logs/controller.log"]
    assert json.loads(members["settings.json"])["SMTP_URL"] == "set"
    assert json.loads(members["version.json"])["openclaw_hosted"]
    assert [each["id"] for each in json.loads(members["platform.json"])["instances"]] == [made]
    assert any(each["check"] == "python" for each in json.loads(members["doctor.json"]))
    assert len(json.loads(members["events.json"])) > len(SAID)


def test_it_overwrites_nothing_and_needs_a_platform(with_admin: Cli, tmp_path: Path) -> None:
    file = tmp_path / "support.tar.gz"
    file.write_text("mine")
    assert with_admin("support-bundle", str(file)).code == 5
    assert file.read_text() == "mine"
    nowhere = with_admin.bare("support-bundle", str(tmp_path / "b.tar.gz"), "--data-dir", str(tmp_path / "nothing"))
    assert nowhere.code == 6
    assert not (tmp_path / "b.tar.gz").exists()
