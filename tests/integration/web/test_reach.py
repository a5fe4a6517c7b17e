"""How far requests for users may go, by what machines are."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.docker.containers import HOST_FILE
from openclaw_hosted.adapters.local.docker.requests import FromMachines
from openclaw_hosted.adapters.local.files import write_json
from openclaw_hosted.adapters.local.runtimes import Runtimes
from openclaw_hosted.adapters.outgoing import FROM_MACHINES, FROM_PROCESSES, INTERNET_ONLY
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap import providers, services
from openclaw_hosted.domain.addresses import LocalModel
from openclaw_hosted.settings import Settings, load_settings

HOST = {"image": "gateway:1", "network": {"name": "oc", "bridge": "oc-1", "gateway": "172.18.0.1"}}
OLLAMA = LocalModel("127.0.0.1", 11434)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    arguments = {"ALLOW_LOCAL_MODELS": "127.0.0.1:11434", "PUBLIC_URL": "https://claw.example.com", "PORT": 9000}
    return load_settings({"OPENCLAW_HOSTED_DATA_DIR": tmp_path, **arguments})


async def test_processes_reach_this_computer_but_nothing_of_the_platform(settings: Settings) -> None:
    machine = settings.data_dir / "machines" / "m-1"
    machine.mkdir(parents=True)
    write_json(machine / "machine.json", {"port": 20120})
    async with AsyncExitStack() as stack:
        outgoing = services.outgoing(settings, await providers.known(settings, "mark", SystemClock(), stack))
    assert (outgoing.zones, list(outgoing.named)) == (FROM_PROCESSES, [OLLAMA])
    assert set(outgoing.own.ports()) == {9000, *range(20120, 20240)}
    assert set(outgoing.own.hosts) == {"claw.example.com"}


def test_containers_are_asked_for_from_their_network(settings: Settings) -> None:
    write_json(settings.data_dir / HOST_FILE, HOST)
    (docker,) = providers._docker_used(settings, SystemClock())
    outgoing = providers._outgoing(settings, Runtimes(docker))
    assert outgoing.zones == FROM_MACHINES
    assert isinstance(outgoing.way, FromMachines)
    assert outgoing.way.as_seen("http://localhost:11434/v1") == "http://172.18.0.1:11434/v1"


def test_machines_elsewhere_are_asked_for_the_internet_alone(settings: Settings) -> None:
    provided = providers._fake(settings, "mark", SystemClock())
    assert services.outgoing(settings, provided).zones == INTERNET_ONLY
