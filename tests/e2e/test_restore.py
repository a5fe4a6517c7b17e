"""Everything of a platform moves to an empty computer, the real OpenClaw with its conversations included."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from openclaw_hosted.bootstrap import open_vault
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId
from tests.support.platform import RunningPlatform, running_platform, share_install, wait_until
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

SESSION = "agent:main:main"
PASSPHRASE = "correct horse battery"


class Conversation:
    """Speaks to the gateway of an instance itself."""

    def __init__(self, platform: RunningPlatform, instance_id: str) -> None:
        for record in platform.data_dir.glob("machines/*/gateway.json"):
            if json.loads(record.read_text())["instance_id"] == instance_id:
                self.port = json.loads((record.parent / "machine.json").read_text())["port"]
        with ThreadPoolExecutor(1) as apart:  # it runs an event loop of its own
            document = apart.submit(open_vault(platform.data_dir), InstanceId(instance_id)).result()
        self.token = document[Credential.GATEWAY_TOKEN]
        self._headers = {"Authorization": f"Bearer {self.token}", "x-openclaw-session-key": SESSION}

    def say(self, text: str) -> str:
        body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
        answer = httpx.post(f"http://127.0.0.1:{self.port}/v1/chat/completions", json=body, headers=self._headers, timeout=PATIENCE_SECONDS)
        return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])

    def history(self) -> str:
        answer = httpx.get(f"http://127.0.0.1:{self.port}/sessions/{SESSION}/history", headers=self._headers, timeout=PATIENCE_SECONDS)
        return answer.raise_for_status().text


@pytest.mark.openclaw
@pytest.mark.long
def test_a_chat_from_before_is_there_on_another_computer(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text(PASSPHRASE)
    backup, passphrase = str(tmp_path / "b"), ("--passphrase-file", str(tmp_path / "pass"))
    with running_platform(tmp_path / "before", spares=1) as before, before.api() as api:
        instance_id = api.post("/instances", json={"name": "Mine"}).json()["id"]
        wait_until(lambda: api.get(f"/instances/{instance_id}").json()["phase"] == "running", 300, lambda: before.output)
        talk = Conversation(before, instance_id)
        assert "zebra" in talk.say("zebra")
        token = talk.token
        made = json.loads(before.cli("backup", backup, *passphrase, "--json").stdout)
        assert (made["instances"], made["left_out"]) == (1, [])
        assert "giraffe" in talk.say("giraffe")

    after = RunningPlatform(tmp_path / "after", free_port())
    after.cli("restore", backup, *passphrase)
    share_install(after.data_dir)
    try:
        after.start(spares=0)
        with after.api() as api:

            def is_back() -> bool:
                seen = api.get(f"/instances/{instance_id}").json()
                return bool(seen["phase"] == "running" and seen["generation"] > 1)

            wait_until(is_back, 300, lambda: after.output)
        talk = Conversation(after, instance_id)
        assert talk.token == token
        history = talk.history()
        assert "zebra" in history
        assert "giraffe" not in history
        assert "okapi" in talk.say("okapi")
        assert "zebra" in talk.history()
        page = httpx.get(f"{after.url}/{instance_id}/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, f"/sign-in?next=/{instance_id}/")
    finally:
        after.down()
