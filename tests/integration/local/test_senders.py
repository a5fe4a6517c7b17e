"""A stranger writes to an instance's Telegram bot: no answer before the owner approves. The real OpenClaw, a stand-in for Telegram."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings
from openclaw_hosted.ports.gateways import SenderRequest
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.serving import serving
from tests.support.telegram import Telegram
from tests.support.waiting import until

pytestmark = pytest.mark.openclaw

ADA, EVE = 1111, 2222
TOKEN = "4242:AAExampleTokenOfATestBot-0123456789abcd"


async def with_bot(computer: Computer, telegram: Telegram) -> str:
    """A gateway whose bot is at the stand-in."""
    ref, spec = await computer.launch()
    document = dict(await computer.vault.get(spec.instance_id))
    await computer.vault.put(spec.instance_id, {**document, Credential.TELEGRAM_BOT_TOKEN: TOKEN}, 1)
    config = {"channels": {"telegram": {"apiRoot": telegram.api_root, "network": {"dangerouslyAllowPrivateNetwork": True}}}}
    config_path(computer.volumes.state_dir(spec.volume_id)).write_text(json.dumps(config))
    settings = GatewaySettings(channels=frozenset({Channel.TELEGRAM}))
    await computer.gateways.start(seat(ref), replace(spec, revision=1, settings=settings))
    await until(lambda: computer.is_ready(ref))
    return ref


async def waiting(computer: Computer, ref: str, sender_id: int) -> SenderRequest | None:
    return next((each for each in await computer.gateways.sender_requests(seat(ref)) if each.sender_id == str(sender_id)), None)


async def test_a_sender_is_answered_once_approved(computer: Computer) -> None:
    with serving(Telegram()) as telegram:
        ref = await with_bot(computer, telegram)
        telegram.write(ADA, "Ada", "is an okapi there?")
        await until(lambda: waiting(computer, ref, ADA))
        request = await waiting(computer, ref, ADA)
        assert request
        assert (request.channel, request.sender_name) == ("Telegram", "Ada @ada")
        assert 3500 < request.expires_at - request.asked_at <= 3600
        assert "is an okapi there" not in telegram.said_to(ADA)

        await computer.gateways.settle_sender(seat(ref), request.id, approve=True)
        assert await waiting(computer, ref, ADA) is None
        telegram.write(ADA, "Ada", "and a zebra?")
        await until(lambda: "and a zebra?" in telegram.said_to(ADA))

        telegram.write(EVE, "Eve", "let me in")
        await until(lambda: waiting(computer, ref, EVE))
        unwanted = await waiting(computer, ref, EVE)
        assert unwanted
        await computer.gateways.settle_sender(seat(ref), unwanted.id, approve=False)
        with pytest.raises(NotFound):
            await computer.gateways.settle_sender(seat(ref), unwanted.id, approve=True)
        assert await waiting(computer, ref, EVE) is None
        assert "let me in" not in telegram.said_to(EVE)
        assert not any(TOKEN in line for line in await computer.gateways.logs(seat(ref), 5000))
