"""A machine's first boot: from user data to a gateway that proves who it is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.plane.base import Power
from openclaw_hosted.adapters.aws.user_data import render_user_data
from tests.integration.aws.machine.nested import TOKEN, Fleet, fleet_of_machines, start_line
from tests.integration.aws.machine.test_nested import BREAK, VOLUME, answers, done, is_held, refused, until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.openclaw]

REF = "i-0000boot"
OURS = "oc-55555555"


@pytest.fixture(scope="module", params=["stand-in", pytest.param("openclaw", marks=pytest.mark.long)])
def chosen_image(request: pytest.FixtureRequest, image: str, stand_in_image: str) -> str:
    """The real one has half a gigabyte to be pushed, pulled and unpacked."""
    return stand_in_image if request.param == "stand-in" else image


@pytest.fixture(scope="module")
def fleet(chosen_image: str) -> Iterator[Fleet]:
    assert chosen_image
    with fleet_of_machines() as made:
        yield made


@pytest.fixture(scope="module")
def pulled(fleet: Fleet, chosen_image: str) -> str:
    """The image's address for machines, with its digest."""
    return fleet.machines.registry.push(chosen_image, "openclaw:boot")


def test_a_machine_boots_into_the_gateway_that_it_is_reserved_for(fleet: Fleet, pulled: str) -> None:
    fleet.launch(REF, "vol-0000b007", user_data=render_user_data(pulled, ["https://claw.example.com"], ["10.0.0.0/16"], "openclaw"))
    until(lambda: fleet.machines.power(REF) is Power.RUNNING)
    until(lambda: fleet.machines.run(REF, f"docker image inspect {pulled}", 30.0).exit_code == 0)
    assert fleet.inspect(REF)["running"] == "0", "it does not know yet for whom"
    fleet.tags[REF] = {"ReservedInstanceId": OURS}
    until(lambda: any("GetSecretValue" in name for name in fleet.amazon.account.asked))
    fleet.secret(OURS)
    assert "openclaw/oc-55555555 is not there" in fleet.machines.wait_for_user_data(REF, PATIENCE_SECONDS)
    assert fleet.machines.problem(REF) is None
    until(lambda: answers(fleet, REF) == OURS)
    seen = fleet.inspect(REF)
    assert (seen["instance"], seen["generation"], seen["volume"], seen["restarts"]) == (OURS, "0", "vol-0000b007", "0")


def test_the_platform_takes_over_what_the_first_boot_started(fleet: Fleet, pulled: str) -> None:
    before = fleet.sh(REF, "docker inspect -f '{{.Id}} {{.State.StartedAt}}' openclaw-gateway")
    done(fleet.do(REF, start_line(OURS, "vol-0000b007", pulled, generation=1, fresh=0)))
    assert fleet.sh(REF, "docker inspect -f '{{.Id}} {{.State.StartedAt}}' openclaw-gateway") == before
    assert fleet.inspect(REF)["generation"] == "1"
    done(fleet.do(REF, "keep-config"))


def test_what_openclaw_refuses_is_said_and_is_mended_by_the_next_start(fleet: Fleet, pulled: str) -> None:
    assert "admin-http-rpc" in json.loads(fleet.sh(REF, f"cat {VOLUME}/proven-config.json"))["plugins"]["entries"]
    fleet.sh(REF, BREAK)
    done(fleet.do(REF, "restart now=1"))
    until(lambda: fleet.inspect(REF)["refused"] == "1")
    seen = fleet.inspect(REF)
    assert seen["exit"] == "78"
    assert seen["problem"] != ""
    assert TOKEN not in fleet.do(REF, "logs lines=200").stdout
    is_held(fleet, REF)
    assert fleet.inspect(REF)["started"] == seen["started"]
    done(fleet.do(REF, start_line(OURS, "vol-0000b007", pulled, generation=2, fresh=0)))
    until(lambda: answers(fleet, REF) == OURS)


def test_a_stop_is_clean(fleet: Fleet) -> None:
    done(fleet.do(REF, "stop"))
    assert fleet.machines.detach("vol-0000b007")
    refused(fleet.do(REF, "keep-config"), 8, "no volume is mounted")
