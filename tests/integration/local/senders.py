"""A stranger writes to an instance's Telegram bot: no answer before the owner approves. A stand-in is Telegram."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings, GatewaySpec
from openclaw_hosted.ports.gateways import SenderRequest
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.telegram import Telegram
from tests.support.waiting import until

ADA, EVE = 1111, 2222
TOKEN = "4242:AAExampleTokenOfATestBot-0123456789abcd"


def will_find(telegram: Telegram, computer: Computer, spec: GatewaySpec) -> None:
    """The gateway, which is not started yet, looks for its bot at the stand-in once it has one."""
    config = {"channels": {"telegram": {"apiRoot": telegram.api_root, "network": {"dangerouslyAllowPrivateNetwork": True}}}}
    config_path(computer.volumes.state_dir(spec.volume_id)).write_text(json.dumps(config))


async def a_sender_is_answered_once_approved(computer: Computer, telegram: Telegram, ref: str, spec: GatewaySpec) -> None:
    """On a gateway that runs: a bot comes, a user is approved, and another is not. `spec` is newer than what is in force."""
    document = dict(await computer.vault.get(spec.instance_id))
    await computer.vault.put(spec.instance_id, {**document, Credential.TELEGRAM_BOT_TOKEN: TOKEN}, spec.revision)
    with_bot = replace(spec, settings=GatewaySettings(channels=frozenset({Channel.TELEGRAM})))
    await computer.gateways.apply(seat(ref, with_bot), with_bot)

    telegram.write(ADA, "Ada", "is an okapi there?")
    await until(lambda: _waiting(computer, ref, ADA))
    request = await _waiting(computer, ref, ADA)
    assert request
    assert (request.channel, request.sender_name) == ("Telegram", "Ada @ada")
    assert 3500 < request.expires_at - request.asked_at <= 3600
    assert "is an okapi there" not in telegram.said_to(ADA)

    await computer.gateways.settle_sender(seat(ref), request.id, approve=True)
    assert await _waiting(computer, ref, ADA) is None
    telegram.write(ADA, "Ada", "and a zebra?")
    await until(lambda: "and a zebra?" in telegram.said_to(ADA))

    telegram.write(EVE, "Eve", "let me in")
    await until(lambda: _waiting(computer, ref, EVE))
    unwanted = await _waiting(computer, ref, EVE)
    assert unwanted
    await computer.gateways.settle_sender(seat(ref), unwanted.id, approve=False)
    with pytest.raises(NotFound):
        await computer.gateways.settle_sender(seat(ref), unwanted.id, approve=True)
    assert await _waiting(computer, ref, EVE) is None
    assert "let me in" not in telegram.said_to(EVE)
    assert not any(TOKEN in line for line in await computer.gateways.logs(seat(ref), 5000))


async def _waiting(computer: Computer, ref: str, sender_id: int) -> SenderRequest | None:
    return next((each for each in await computer.gateways.sender_requests(seat(ref)) if each.sender_id == str(sender_id)), None)
