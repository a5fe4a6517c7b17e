"""The plugin's part of a claim on a cloud: credentials that are handed to a gateway that runs, and a spare that keeps closed until then."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR
from openclaw_hosted.adapters.local.processes.process import Program
from openclaw_hosted.adapters.local.runtimes import Berth, ProcessRuntime, Runtimes
from openclaw_hosted.adapters.openclaw import running
from openclaw_hosted.adapters.openclaw.config import settings_patch
from openclaw_hosted.adapters.openclaw.rpc import CLOSED_MARK, OPENCLAW_MARKUP, GatewayClient
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.gateway import Credential, CredentialsChange, GatewaySettings, GatewaySpec, ModelProvider
from tests.support.echo_model import EchoServer
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.waiting import PATIENCE_SECONDS, until

TOKEN = "a-token-of-the-gateway-0001"
KEY, LATER_KEY = "sk-a-key-of-the-user-0001", "sk-a-key-of-the-user-0002"
CHANGE = f"""
import {{ BadChange, changeCredentials }} from "{PLUGIN_DIR}/credentials.js";
const [path, change] = process.argv.slice(1);
try {{
  changeCredentials(JSON.parse(change), path);
}} catch (problem) {{
  console.log(`${{problem instanceof BadChange ? "bad" : "failed"}}: ${{problem.message}}`);
}}
"""

CLAIM = f"""
import {{ Reservation }} from "{PLUGIN_DIR}/reserved.js";
const [note] = process.argv.slice(1), said = [];
const look = (reservation) => said.push(reservation.closed);
const spare = new Reservation({{ reserved: true, note }});
look(spare);
spare.claim();
look(spare);
look(new Reservation({{ reserved: true, note }}));
look(new Reservation({{ reserved: false, note: `${{note}}-of-another` }}));
console.log(JSON.stringify(said));
"""


def node(program: str, *words: str) -> str:
    """What it prints."""
    command = (str(NODE_DIR / "bin" / "node"), "--input-type=module", "--eval", program, "--", *words)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def change(path: Path, wanted: dict[str, Any]) -> str:
    """What is said of a change that is not made."""
    return node(CHANGE, str(path), json.dumps(wanted))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"gatewayToken": TOKEN, "telegramBotToken": "1:old"}))
    return path


def test_a_change_is_made_on_top_of_what_is_there(secrets: Path) -> None:
    assert change(secrets, {"set": {"modelApiKey": KEY}, "remove": ["telegramBotToken"]}) == ""
    assert json.loads(secrets.read_text()) == {"gatewayToken": TOKEN, "modelApiKey": KEY}
    assert (secrets.stat().st_mode & 0o777, list(secrets.parent.iterdir())) == (0o600, [secrets])


@pytest.mark.parametrize(
    "wanted",
    [
        {"set": {"gatewayToken": "another"}},
        {"remove": ["gatewayToken"]},
        {"set": {"../etc": KEY}},
        {"set": {"__proto__x": KEY}},
        {"set": {"modelApiKey": ""}},
        {"set": {"modelApiKey": {"a": KEY}}},
        {"set": {"modelApiKey": "k" * 20_000}},
        {"remove": "modelApiKey"},
        {"remove": [1]},
    ],
)
def test_what_is_no_change_of_credentials_changes_nothing_and_is_not_quoted(secrets: Path, wanted: dict[str, Any]) -> None:
    before = secrets.read_text()
    said = change(secrets, wanted)
    assert said.startswith("bad: ")
    assert KEY not in said
    assert secrets.read_text() == before


def test_a_file_that_can_not_be_read_is_not_quoted(secrets: Path) -> None:
    secrets.write_text(f'{{"gatewayToken": "{TOKEN}"')
    assert change(secrets, {"set": {"modelApiKey": KEY}}) == "failed: the credentials can't be read"


def test_a_spare_that_was_claimed_is_open_after_a_restart_and_others_never_were_closed(tmp_path: Path) -> None:
    assert json.loads(node(CLAIM, str(tmp_path / "note"))) == [True, False, False, False]


class SpareRuntime(ProcessRuntime):
    """Gateways are told what the container of a spare on a cloud is."""

    def program(self, berth: Berth) -> Program:
        made = super().program(berth)
        told = {"OPENCLAW_HOSTED_RESERVED": "1", "OPENCLAW_SECRETS_PATH": str(berth.directory / "secrets" / "secrets.json")}
        return replace(made, env={**made.env, **told})


@dataclass
class Spare:
    """A spare's gateway that runs, as it is reached from outside and from the platform."""

    spec: GatewaySpec
    address: str
    token: str
    http: httpx.AsyncClient

    @property
    def client(self) -> GatewayClient:
        return GatewayClient(self.http, self.address, self.token)

    async def page(self, **headers: str) -> httpx.Response:
        outside = {"X-Forwarded-For": "192.0.2.7", "Accept": "text/html"}
        return await self.http.get(f"http://{self.address}/{self.spec.instance_id}/", headers=outside | headers)

    async def is_closed(self) -> bool:
        answers = [await self.page(), await self.page(Authorization=f"Bearer {self.token[:-1]}x")]
        return all((answer.status_code, answer.content) == (503, CLOSED_MARK) for answer in answers)

    async def connects(self) -> bool:
        """Whether its page could open its WebSocket."""
        address = f"ws://{self.address}/{self.spec.instance_id}"
        try:
            async with websockets.connect(address, additional_headers={"X-Forwarded-For": "192.0.2.7"}) as connection:
                return "connect.challenge" in str(await connection.recv())
        except websockets.InvalidStatus:
            return False


@pytest.mark.openclaw
async def test_a_spare_keeps_closed_until_it_is_claimed_and_takes_its_users_key_without_a_restart(
    computer: Computer, echo: EchoServer
) -> None:
    computer.runtimes = Runtimes(SpareRuntime(computer.data_dir, computer.release))
    computer.machines, computer.gateways = computer.new_machines(), computer.new_gateways()
    ref, spec = await computer.launch()
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    await computer.gateways.warm_up(seat(ref, spec))
    address = next(m.address for m in await computer.machines.observe() if m.provider_ref == ref)
    token = (await computer.vault.get(spec.instance_id))[Credential.GATEWAY_TOKEN]
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        spare = Spare(spec, str(address), token, http)
        assert await spare.is_closed()
        assert not await spare.connects()
        assert OPENCLAW_MARKUP in (await spare.page(Authorization=f"Bearer {token}")).content
        await a_key_is_handed_over(computer, spare, echo)
        assert await spare.is_closed()
        await running.open_to_owner(spare.client)
        assert OPENCLAW_MARKUP in (await spare.page()).content
        assert await spare.connects()


async def a_key_is_handed_over(computer: Computer, spare: Spare, echo: EchoServer) -> None:
    wanted = replace(spare.spec, revision=1, settings=GatewaySettings(ModelProvider.COMPATIBLE, "echo", echo.base_url))
    identity = await spare.client.bridge("identity")
    assert identity["takesCredentials"] is True
    with pytest.raises(Unavailable):
        await running.hand_credentials(spare.client, CredentialsChange({Credential.GATEWAY_TOKEN: "another"}))
    given = CredentialsChange({Credential.MODEL_API_KEY: KEY})
    assert await running.hand_credentials(spare.client, given) == identity["startedAt"]
    existing, _ = await running.present_config(spare.client)
    places = computer.runtimes.chosen.places(computer.data_dir, int(spare.address.rpartition(":")[2]))
    await running.reload(spare.client, existing, settings_patch(wanted, places, existing), given.set.values(), credentials_changed=False)
    assert "giraffe" in await spare.client.turn("giraffe", session_key="main", model="custom/echo")
    assert echo.keys[-1] == KEY, "OpenClaw reads its credentials with a configuration that changed"
    given = CredentialsChange({Credential.MODEL_API_KEY: LATER_KEY})
    await running.hand_credentials(spare.client, given)
    await running.reload(spare.client, {}, {}, given.set.values())
    assert "gnu" in await spare.client.turn("gnu", session_key="main", model="custom/echo")
    assert echo.keys[-1] == LATER_KEY
