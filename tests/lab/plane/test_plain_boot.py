"""User data on a plain machine: it starts the gateway of the id that the machine is reserved for."""

from __future__ import annotations

import threading

import httpx

from tests.lab.plane.plain_world import World, user_data, volume_of
from tests.support.waiting import until

VOLUME = volume_of("i-x")


async def test_a_machine_starts_the_gateway_that_it_is_reserved_for_by_itself(world: World, http: httpx.AsyncClient) -> None:
    world.tags["i-x"] = {"ReservedInstanceId": "oc-7777"}
    world.boot("i-x", "oc-7777", user_data=user_data())
    await world.answers("i-x")
    assert (await world.client(http, "i-x").bridge("identity"))["instanceId"] == "oc-7777"
    assert "no owner yet" in (await http.get(f"http://{world.machines.address('i-x')}/oc-7777/")).text
    assert world.machines.volumes.get(VOLUME).mark == "oc-7777"
    assert world.facts("i-x")["generation"] == "0"


async def test_it_waits_for_tag_and_secret_as_long_as_it_has_to(world: World) -> None:
    world.boot("i-x", "oc-1111", user_data=user_data())
    await world.tries_again("i-x")
    assert world.facts("i-x")["instance"] == ""
    world.tags["i-x"] = {"ReservedInstanceId": "oc-8888"}
    await world.tries_again("i-x")
    assert world.facts("i-x")["instance"] == ""
    world.give("i-x", "oc/oc-8888")
    await world.answers("i-x")
    assert world.facts("i-x")["instance"] == "oc-8888"


async def test_it_gives_up_on_a_disk_of_another_instance_and_leaves_what_a_later_generation_started(world: World) -> None:
    world.machines.create_volume(VOLUME, 8)
    world.machines.volumes.get(VOLUME).mark = "oc-other"
    world.tags["i-x"] = {"ReservedInstanceId": "oc-9999"}
    world.boot("i-x", "oc-9999", user_data=user_data())
    await until(lambda: has_given_up("i-x"))
    assert world.facts("i-x")["instance"] == ""
    world.boot("i-y", "oc-1111", user_data=user_data())
    assert world.start("i-y", "oc-1111", generation=2).exit_code == 0
    world.tags["i-y"] = {"ReservedInstanceId": "oc-1111"}
    await until(lambda: has_given_up("i-y"))
    assert (world.facts("i-y")["running"], world.facts("i-y")["generation"]) == ("1", "2")


async def test_it_does_not_run_again_after_a_reboot(world: World) -> None:
    world.boot("i-x", "oc-1111", user_data=user_data())
    await world.tries_again("i-x")
    await world.rebooted("i-x")
    await until(lambda: has_given_up("i-x"))
    world.tags["i-x"] = {"ReservedInstanceId": "oc-1111"}
    assert world.facts("i-x")["instance"] == ""


def has_given_up(machine: str) -> bool:
    """Whether its user data has ended."""
    return all(thread.name != f"user-data-{machine}" for thread in threading.enumerate())
