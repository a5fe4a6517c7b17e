"""What a machine learns of its neighbours by asking Docker's own name service, which all on its network share."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from tests.integration.docker.inside import address_of, described, run, started
from tests.support.local_computer import Computer

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]

ASK = """
const dns = require("dns").promises;
const [forward, reverse] = JSON.parse(process.argv[1]);
const told = (question) => question.then((answer) => [answer].flat().map(String), () => []);
Promise.all([...forward.map((name) => told(dns.resolve4(name))), ...reverse.map((address) => told(dns.reverse(address)))])
  .then((answers) => console.log(JSON.stringify(answers)));
"""
APT = Path("/etc/apt")


async def ask(ref: str, forward: list[str], reverse: list[str]) -> list[list[str]]:
    """What the name service tells a machine: addresses of names, then names of addresses; nothing where it knows none."""
    answers: list[list[str]] = json.loads(await run(ref, "node", "-e", ASK, json.dumps([forward, reverse])))
    return answers


async def test_the_name_service_does_not_tell_who_a_neighbour_is(computer: Computer) -> None:
    (mine, _), (other, spec) = await started(computer), await started(computer)
    assert computer.docker
    network = computer.docker.network.name
    guesses = [name for known in (other, spec.instance_id) for name in (known, f"openclaw-{known}", f"openclaw-{known}.{network}")]
    *forward, reverse = await ask(mine, guesses, [await address_of(other)])
    assert forward == [[]] * len(guesses)
    assert not any(known in name for name in reverse for known in (other, spec.instance_id, spec.volume_id, "mc-", "oc-")), reverse
    assert (await described(other))["Config"]["Hostname"] == (await described(mine))["Config"]["Hostname"]


def outside() -> str:
    """A name that this computer itself resolves: where its packages come from. Skips where it has none."""
    lists = [*APT.glob("**/*.list"), *APT.glob("**/*.sources")]
    for name in re.findall(r"https?://([^/:\s]+\.[a-z]+)", "\n".join(each.read_text() for each in lists)):
        try:
            socket.getaddrinfo(name, 443)
        except OSError:
            continue
        return str(name)
    pytest.skip("this computer itself has no name service")


async def test_names_of_the_internet_are_still_told(computer: Computer) -> None:
    name = outside()
    ref, _ = await started(computer)
    assert (await ask(ref, [name], []))[0]
