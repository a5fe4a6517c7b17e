"""Trying keys with their owners: what is sent, what is said, and where it never goes."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from openclaw_hosted.adapters.keytester import Endpoints, HttpKeyTester
from openclaw_hosted.adapters.outgoing import FROM_MACHINES, FROM_PROCESSES, Outgoing, Own
from openclaw_hosted.domain.addresses import LocalModel, Zone
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings, ModelProvider
from tests.support.waiting import until

KEY = "sk-right-0123456789"
MODELS = [
    {"id": "model-a"}, {"id": "model-a"}, {"id": "text-embedding-9"}, {"id": "two words"}, {"id": ""}, {"no": "id"}, "junk",
    {"name": "models/model-b", "supportedGenerationMethods": ["generateContent"]},
    {"name": "models/counter", "supportedGenerationMethods": ["countTokens"]},
]  # fmt: skip
PAGES = {"/page/models": 200, "/broken/models": 500, "/guarded-page/models": 401}


@dataclass
class Owner:
    """A provider that takes one key."""

    port: int = 0
    seen: list[str] = field(default_factory=list)

    def tester(self, zones: Collection[Zone] = FROM_PROCESSES, **more: Any) -> HttpKeyTester:
        at = f"http://127.0.0.1:{self.port}"
        model = at + "/models"
        endpoints = Endpoints(model, model, model, model, model, at, at + "/me", at + "/bot-token", at + "/app-token")
        return HttpKeyTester(Outgoing(zones=zones, **more), endpoints)

    async def answer(self, request: Request) -> Response:
        self.seen.append(str(request.url))
        if request.url.path == "/moved/models":
            return RedirectResponse("http://127.0.0.1:1/")
        if (page := PAGES.get(request.url.path)) is not None:
            return Response("<h1>Not for you</h1>", page)
        if KEY not in str(request.headers.raw) + request.url.path:
            return JSONResponse({"error": "no"}, 401)
        return JSONResponse({"ok": True, "data": MODELS, "result": {"username": "my_bot"}})


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    made = Owner()
    app = FastAPI()
    app.add_route("/{path:path}", made.answer, methods=["GET", "POST"])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", access_log=False, lifespan="off"))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    made.port = server.servers[0].sockets[0].getsockname()[1]
    yield made
    server.should_exit = True
    await task


@pytest.mark.parametrize("provider", [p for p in ModelProvider if p is not ModelProvider.ECHO])
async def test_a_key_finds_the_models_to_choose_from(owner: Owner, provider: ModelProvider) -> None:
    base_url = f"http://127.0.0.1:{owner.port}/v1" if provider is ModelProvider.COMPATIBLE else None
    settings = GatewaySettings(provider, None, base_url)
    found = await owner.tester().list_models(settings, {Credential.MODEL_API_KEY: KEY})
    assert (found.report.ok, found.models) == (True, ("model-a", "model-b"))
    refused = await owner.tester().list_models(settings, {Credential.MODEL_API_KEY: "sk-wrong"})
    assert (refused.report.ok, refused.models) == (False, ())
    assert not [url for url in owner.seen if "sk-" in url]


async def test_a_provider_without_models_says_how_to_go_on(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "MODELS", [])
    found = await owner.tester().list_models(GatewaySettings(ModelProvider.OPENAI), {Credential.MODEL_API_KEY: KEY})
    assert not found.report.ok
    assert "Type the model's id" in found.report.message


@pytest.mark.parametrize("provider", [p for p in ModelProvider if p is not ModelProvider.ECHO])
async def test_a_right_key_is_told_from_a_wrong_one(owner: Owner, provider: ModelProvider) -> None:
    base_url = f"http://127.0.0.1:{owner.port}/v1" if provider is ModelProvider.COMPATIBLE else None
    settings = GatewaySettings(provider, "model-a", base_url)
    right = await owner.tester().try_model_key(settings, {Credential.MODEL_API_KEY: KEY})
    wrong = await owner.tester().try_model_key(settings, {Credential.MODEL_API_KEY: "sk-wrong"})
    assert right.ok, right.message
    assert not wrong.ok
    assert not [url for url in owner.seen if "sk-" in url]


@pytest.mark.parametrize("channel", list(Channel))
async def test_a_channels_token_is_tried_and_never_logged(owner: Owner, channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    report = await owner.tester().try_channel(channel, dict.fromkeys(Credential, KEY))
    wrong = await owner.tester().try_channel(channel, dict.fromkeys(Credential, "wrong-token"))
    assert report.ok, report.message
    assert not wrong.ok
    assert KEY not in caplog.text + report.message + wrong.message


async def test_an_unreachable_provider_is_a_report() -> None:
    tester = HttpKeyTester(Outgoing(), Endpoints(openai="http://127.0.0.1:9/v1/models"))
    report = await tester.try_model_key(GatewaySettings(ModelProvider.OPENAI), {Credential.MODEL_API_KEY: KEY})
    assert not report.ok
    assert "could not be reached" in report.message


async def test_a_model_that_is_not_listed_is_pointed_out(owner: Owner) -> None:
    settings = GatewaySettings(ModelProvider.OPENAI, "model-z")
    report = await owner.tester().try_model_key(settings, {Credential.MODEL_API_KEY: KEY})
    assert not report.ok
    assert "not among" in report.message


FORBIDDEN = (
    "http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://0.0.0.0/v1", "http://[::]/v1",
    "http://[::ffff:169.254.169.254]/v1", "http://[::ffff:a9fe:a9fe]/v1",
    "http://[64:ff9b::a9fe:a9fe]/v1", "http://[64:ff9b::127.0.0.1]/v1", "http://[2002:a9fe:a9fe::]/v1", "http://[2001:0:a9fe:a9fe::1]/v1",
    "http://[fd00:ec2::254]/v1", "http://224.0.0.1/v1", "http://100.100.100.200/v1",
)  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_metadata_and_addresses_in_disguise_are_never_called(address: str) -> None:
    settings = GatewaySettings(ModelProvider.COMPATIBLE, "m", address)
    report = await HttpKeyTester(Outgoing(zones=FROM_PROCESSES)).try_model_key(settings, {Credential.MODEL_API_KEY: KEY})
    assert "not reached from a machine" in report.message


def at(port: int, path: str = "/v1", host: str = "127.0.0.1") -> GatewaySettings:
    return GatewaySettings(ModelProvider.COMPATIBLE, "model-a", f"http://{host}:{port}{path}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_this_computer_is_reached_only_where_that_is_allowed(owner: Owner, host: str) -> None:
    refused = await owner.tester(FROM_MACHINES).try_model_key(at(owner.port, host=host), {})
    assert "not reached from a machine" in refused.message
    assert owner.seen == []
    named = owner.tester(FROM_MACHINES, named=[LocalModel("127.0.0.1", owner.port)])
    report = await named.try_model_key(at(owner.port, host=host), {Credential.MODEL_API_KEY: KEY})
    assert report.ok, report.message


async def test_nothing_of_the_platforms_own_is_called(owner: Owner) -> None:
    own_port = owner.tester(own=Own(ports=lambda: [owner.port]))
    own_name = owner.tester(own=Own(hosts=["localhost"]))
    assert "not reached from a machine" in (await own_port.try_model_key(at(owner.port), {})).message
    assert "not reached from a machine" in (await own_name.try_model_key(at(owner.port, host="LOCALHOST"), {})).message
    assert owner.seen == []


async def test_a_name_is_resolved_once_and_the_request_goes_where_it_led(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that says another number the second time."""
    loop, asked, original = asyncio.get_running_loop(), [], asyncio.get_running_loop().getaddrinfo

    async def rebinding(host: str, port: int, **more: Any) -> Any:
        if host == "rebinding.example":
            asked.append(host)
            return await original("127.0.0.1" if len(asked) == 1 else "169.254.169.254", port, **more)
        return await original(host, port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    report = await owner.tester().try_model_key(at(owner.port, host="rebinding.example"), {Credential.MODEL_API_KEY: KEY})
    assert report.ok, report.message
    assert asked == ["rebinding.example"]
    assert owner.seen[0].startswith(f"http://rebinding.example:{owner.port}/")


async def test_one_bad_number_behind_a_name_is_enough(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, original = asyncio.get_running_loop(), asyncio.get_running_loop().getaddrinfo

    async def two(_host: str, port: int, **more: Any) -> Any:
        return [*await original("127.0.0.1", port, **more), *await original("169.254.169.254", port, **more)]

    monkeypatch.setattr(loop, "getaddrinfo", two)
    report = await owner.tester().try_model_key(at(owner.port, host="two.example"), {})
    assert "not reached from a machine" in report.message
    assert owner.seen == []


@pytest.mark.parametrize("path", ["/v1?a=", "/v1#", "/a/../v1", "/%2e%2e/v1"])
async def test_the_path_of_a_request_is_not_free(owner: Owner, path: str) -> None:
    report = await owner.tester().try_model_key(at(owner.port, path), {Credential.MODEL_API_KEY: KEY})
    assert "Give the address of the API" in report.message
    assert owner.seen == []


async def test_what_is_no_api_is_not_told_apart(owner: Owner, unused_tcp_port: int) -> None:
    said = {
        (await owner.tester().try_model_key(settings, {Credential.MODEL_API_KEY: KEY})).message
        for settings in (
            at(owner.port, "/moved"),
            at(owner.port, "/page"),
            at(owner.port, "/broken"),
            at(owner.port, "/guarded-page"),
            at(unused_tcp_port),
        )
    }
    assert len(said) == 1, said
    assert not [url for url in owner.seen if url.endswith("127.0.0.1:1/")]


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's, with a certificate for `model.example` by an authority that is trusted for the length of the test."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "model.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("model.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "both.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    both.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    monkeypatch.setattr("certifi.where", lambda: str(both))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


async def test_the_certificate_has_to_be_that_of_the_name(certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to a number, and says the name."""
    loop, original = asyncio.get_running_loop(), asyncio.get_running_loop().getaddrinfo

    async def here(_host: str, port: int, **more: Any) -> Any:
        return await original("127.0.0.1", port, **more)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{"data":[]}')
        await writer.drain()
        writer.close()

    monkeypatch.setattr(loop, "getaddrinfo", here)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=certified) as server:
        port = server.sockets[0].getsockname()[1]
        said = {}
        for name in ("model.example", "other.example"):
            settings = GatewaySettings(ModelProvider.COMPATIBLE, "m", f"https://{name}:{port}/v1")
            said[name] = await HttpKeyTester(Outgoing(zones=FROM_PROCESSES)).try_model_key(settings, {})
    assert said["model.example"].ok, said
    assert "No model's API" in said["other.example"].message
