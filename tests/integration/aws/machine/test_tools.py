"""The image of machines on a machine of AWS's kind: what a user installed follows the volume to another one."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.integration.aws.machine.nested import TOKEN, Fleet, fleet_of_machines, start_line
from tests.integration.docker.test_tools import PACKAGE, TOOLS
from tests.support.platform import wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.openclaw, pytest.mark.docker, pytest.mark.lab, pytest.mark.long]
"""`long`: two machines with an engine each and the whole image. The container's mounts are proven in `test_nested`, the tools in Docker."""
INSTANCE, VOLUME = "oc-22222222", "vol-00000022"


def inside(fleet: Fleet, ref: str, line: str) -> str:
    return fleet.sh(ref, f"docker exec openclaw-gateway sh -c {shlex.quote(line)}")


def start(fleet: Fleet, ref: str, image: str, generation: int) -> None:
    fleet.machines.wait_for_user_data(ref, PATIENCE_SECONDS)
    fleet.secret(INSTANCE)
    for line in (f"prepare image={image}", start_line(INSTANCE, VOLUME, image, generation=generation, fresh=int(generation == 1))):
        done = fleet.do(ref, line, 600.0)
        assert (done.exit_code, done.stderr) == (0, ""), done
    wait_until(lambda: is_ready(fleet, ref), 300)


def is_ready(fleet: Fleet, ref: str) -> bool:
    said = fleet.machines.run(ref, f"curl -sS -H 'Authorization: Bearer {TOKEN}' http://127.0.0.1:8080/readyz", 30.0).stdout
    return said.startswith("{") and bool(json.loads(said).get("ready"))


def test_tools_are_there_and_what_was_installed_follows_the_volume(image: str) -> None:
    with fleet_of_machines() as fleet:
        pulled = fleet.machines.registry.push(image, "openclaw:real")
        one = fleet.launch("i-000000t1", VOLUME)
        start(fleet, one, pulled, 1)
        found = inside(fleet, one, f'for tool in {" ".join(TOOLS)}; do command -v "$tool"; done').split()
        assert [path.rpartition("/")[2] for path in found] == list(TOOLS)
        assert inside(fleet, one, PACKAGE + "hello") == "hello from here"
        assert fleet.do(one, "stop", 400.0).exit_code == 0
        assert fleet.machines.detach(VOLUME)
        fleet.machines.terminate(one)
        other = fleet.launch("i-000000t2")
        fleet.machines.attach(other, "/dev/sdf", VOLUME)
        start(fleet, other, pulled, 2)
        assert inside(fleet, other, "hello") == "hello from here"
