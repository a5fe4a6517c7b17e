"""A model of this computer, such as Ollama: a machine reaches the one that its operator names, and nothing else of the computer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_hosted.adapters.keytester import HttpKeyTester
from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import DockerHost, prepare_network
from openclaw_hosted.adapters.local.docker.local_models import relay_name
from openclaw_hosted.adapters.local.docker.requests import FromMachines
from openclaw_hosted.adapters.local.gateway_home import config_path
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.outgoing import FROM_MACHINES, Outgoing
from openclaw_hosted.domain.addresses import LocalModel
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider
from openclaw_hosted.ports.models import KeyReport
from tests.integration.docker.inside import chat, listening, own_address, reach, started
from tests.integration.web.test_keytester import KEY, Owner, owner
from tests.support.docker import docker_machines
from tests.support.echo_model import EchoServer
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.serving import serving
from tests.support.waiting import until

__all__ = ["owner"]
pytestmark = [pytest.mark.openclaw, pytest.mark.docker]


@pytest.fixture
async def host(tmp_path: Path, stand_in_image: str, owner: Owner) -> AsyncIterator[DockerHost]:
    """With a way to the model on this computer."""
    async with docker_machines(tmp_path, stand_in_image, [LocalModel("127.0.0.1", owner.port)]) as made:
        yield made


def compatible(port: int, host: str = "127.0.0.1", path: str = "/v1") -> GatewaySettings:
    return GatewaySettings(ModelProvider.COMPATIBLE, "model-a", f"http://{host}:{port}{path}")


async def try_key(host: DockerHost, settings: GatewaySettings, *named: LocalModel, key: str = KEY) -> KeyReport:
    outgoing = Outgoing(FromMachines(host.network, host.image, host.nearby(named)), FROM_MACHINES, named)
    return await HttpKeyTester(outgoing).try_model_key(settings, {Credential.MODEL_API_KEY: key})


async def test_a_key_is_tried_from_where_machines_are(host: DockerHost, owner: Owner) -> None:
    model = LocalModel("127.0.0.1", owner.port)
    await until(lambda: answers(host, owner.port))
    for spelling in ("127.0.0.1", "localhost"):
        report = await try_key(host, compatible(owner.port, spelling), model)
        assert (report.ok, report.message) == (True, "This address answers and takes the key.")
    wrong = await try_key(host, compatible(owner.port), model, key='sk-"wrong\\')
    assert "refuses this key" in wrong.message
    moved = await try_key(host, compatible(owner.port, path="/moved"), model)
    assert "No model's API answers" in moved.message


async def answers(host: DockerHost, port: int) -> bool:
    return (await try_key(host, compatible(port), LocalModel("127.0.0.1", port))).ok


async def test_what_a_machine_does_not_reach_is_not_reached_by_a_key(host: DockerHost) -> None:
    """This computer's other services, by whatever address: the firewall between machines and the computer stands in the way as well."""
    with listening("0.0.0.0") as port:  # noqa: S104 - a service of this computer that is open to all
        for address in ("127.0.0.1", own_address(), host.network.gateway):
            report = await try_key(host, compatible(port, address))
            assert "not reached from a machine" in report.message, address
        unguarded = Outgoing(
            FromMachines(host.network, host.image, host.nearby([])), FROM_MACHINES, [LocalModel(host.network.gateway, port)]
        )
        report = await HttpKeyTester(unguarded).try_model_key(compatible(port, host.network.gateway), {})
        assert "No model's API answers" in report.message


async def test_one_hole_in_the_wall_and_the_rest_as_closed_as_before(
    host: DockerHost, owner: Owner, tmp_path: Path, release: OpenClawRelease
) -> None:
    computer = Computer(tmp_path, release, host, [LocalModel("127.0.0.1", owner.port)])
    ref, _ = await started(computer)
    try:
        gateway = host.network.gateway
        await until(lambda: is_open(ref, gateway, owner.port))
        with listening("0.0.0.0") as port:  # noqa: S104 - a service of this computer that is open to all
            for address in (gateway, own_address()):
                assert await reach(ref, address, port) == "ECONNREFUSED", address
            await prepare_network(tmp_path, host.image, [LocalModel("127.0.0.1", port)])
            assert await reach(ref, gateway, port) == "open", "a server that listens on all addresses needs no relay"
            assert await reach(ref, gateway, owner.port) == "ECONNREFUSED"
        await prepare_network(tmp_path, host.image)
        assert await reach(ref, gateway, port) == "ECONNREFUSED"
        with pytest.raises(NotFound):
            await docker("inspect", "--type", "container", relay_name(host.network))
    finally:
        await computer.clear()


async def is_open(ref: str, address: str, port: int) -> bool:
    return await reach(ref, address, port) == "open"


async def test_a_relay_that_was_killed_or_led_elsewhere_is_put_right(host: DockerHost, owner: Owner, tmp_path: Path) -> None:
    model, name = LocalModel("127.0.0.1", owner.port), relay_name(host.network)

    async def relay() -> tuple[str, list[str]]:
        facts = json.loads(await docker("inspect", "--type", "container", name))[0]
        return facts["Id"], facts["Config"]["Cmd"][-1:]

    first, _ = await relay()
    await prepare_network(tmp_path, host.image, [model])
    assert (await relay())[0] == first
    await docker("rm", "--force", name)
    await prepare_network(tmp_path, host.image, [model])
    assert (await relay())[0] != first
    await prepare_network(tmp_path, host.image, [LocalModel("127.0.0.1", 11434)])
    assert (await relay())[1] == ["11434"]


@pytest.mark.long  # in parts: the tests above, and test_real_machine.py::test_a_turn_whose_model_can_not_be_reached_says_so
async def test_a_turn_is_answered_by_the_model_of_this_computer_and_says_when_it_is_gone(
    tmp_path: Path, release: OpenClawRelease, image: str
) -> None:
    with serving(EchoServer()) as server:
        model = LocalModel("127.0.0.1", server.server_port)
        async with docker_machines(tmp_path, image, [model]) as host:
            computer = Computer(tmp_path, release, host, [model])
            try:
                ref, spec = await started(computer)
                document = dict(await computer.vault.get(spec.instance_id))
                await computer.vault.put(spec.instance_id, {**document, Credential.MODEL_API_KEY: KEY}, 2)
                settings = GatewaySettings(ModelProvider.COMPATIBLE, "echo", server.base_url)
                await computer.gateways.apply(seat(ref, spec), replace(spec, revision=2, settings=settings))
                config = json.loads(config_path(computer.volumes.state_dir(spec.volume_id)).read_text())
                assert config["models"]["providers"]["custom"]["baseUrl"] == f"http://{host.network.gateway}:{server.server_port}/v1"
                assert "okapi" in await chat(computer, ref, "okapi")
                assert KEY in server.keys
                await asyncio.to_thread(server.shutdown)
                server.server_close()
                said = await chat(computer, ref, "zebra")
                assert "can't be reached" in said
                assert "zebra" not in said
            finally:
                await computer.clear()
