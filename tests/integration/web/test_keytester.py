"""Trying keys with their owners: what is sent, what is said, and where it never goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from openclaw_hosted.adapters.keytester import Endpoints, HttpKeyTester
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings, ModelProvider
from tests.support.waiting import until

KEY = "sk-right-0123456789"


@dataclass
class Owner:
    """A provider that takes one key."""

    port: int = 0
    seen: list[str] = field(default_factory=list)

    def tester(self, *, allow_private: bool = True) -> HttpKeyTester:
        at = f"http://127.0.0.1:{self.port}"
        model = at + "/models"
        endpoints = Endpoints(model, model, model, model, at, at + "/me", at + "/bot-token", at + "/app-token")
        return HttpKeyTester(allow_private=allow_private, endpoints=endpoints)

    async def answer(self, request: Request) -> Response:
        self.seen.append(str(request.url))
        if request.url.path == "/moved/models":
            return RedirectResponse("http://127.0.0.1:1/")
        if KEY not in str(request.headers.raw) + request.url.path:
            return JSONResponse({"error": "no"}, 401)
        return JSONResponse({"ok": True, "data": [{"id": "model-a"}], "result": {"username": "my_bot"}})


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
    tester = HttpKeyTester(allow_private=True, endpoints=Endpoints(openai="http://127.0.0.1:9/v1/models"))
    report = await tester.try_model_key(GatewaySettings(ModelProvider.OPENAI), {Credential.MODEL_API_KEY: KEY})
    assert not report.ok
    assert "could not be reached" in report.message


async def test_a_model_that_is_not_listed_is_pointed_out(owner: Owner) -> None:
    settings = GatewaySettings(ModelProvider.OPENAI, "model-b")
    report = await owner.tester().try_model_key(settings, {Credential.MODEL_API_KEY: KEY})
    assert not report.ok
    assert "not among" in report.message


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://0.0.0.0/v1", "http://[::ffff:169.254.169.254]/v1"]
)
async def test_the_metadata_service_is_never_called(address: str) -> None:
    settings = GatewaySettings(ModelProvider.COMPATIBLE, "m", address)
    report = await HttpKeyTester(allow_private=True).try_model_key(settings, {Credential.MODEL_API_KEY: KEY})
    assert "not reached from here" in report.message


async def test_private_networks_and_redirects_are_not_followed(owner: Owner) -> None:
    base = f"http://127.0.0.1:{owner.port}"
    private = GatewaySettings(ModelProvider.COMPATIBLE, "m", base)
    refused = await owner.tester(allow_private=False).try_model_key(private, {Credential.MODEL_API_KEY: KEY})
    assert "not reached from here" in refused.message
    assert owner.seen == []
    moved = await owner.tester().try_model_key(
        GatewaySettings(ModelProvider.COMPATIBLE, "m", base + "/moved"), {Credential.MODEL_API_KEY: KEY}
    )
    assert "status 307" in moved.message
