"""User data on a plain machine: it starts the gateway of the id that the machine is reserved for."""

from __future__ import annotations

import threading

import httpx

from lab.plane.plain_boot import UserData
from openclaw_hosted.adapters.aws.commands import machine_script
from openclaw_hosted.adapters.aws.user_data import render_user_data
from tests.lab.plane.plain_world import IMAGE, World, user_data
from tests.support.waiting import until


async def test_a_machine_starts_the_gateway_that_it_is_reserved_for_by_itself(world: World, http: httpx.AsyncClient) -> None:
    world.tags["i-x"] = {"ReservedInstanceId": "oc-77"}
    world.boot("i-x", "oc-77", user_data=user_data())
    await world.answers("i-x")
    assert (await world.client(http, "i-x").bridge("identity"))["instanceId"] == "oc-77"
    assert "no owner yet" in (await http.get(f"http://{world.machines.address('i-x')}/oc-77/")).text
    assert world.machines.volumes.get("vol-x").mark == "oc-77"
    assert world.facts("i-x")["generation"] == "0"


async def test_it_waits_for_tag_and_secret_as_long_as_it_has_to(world: World) -> None:
    world.boot("i-x", "oc-1", user_data=user_data())
    await world.tries_again("i-x")
    assert world.facts("i-x")["instance"] == ""
    world.tags["i-x"] = {"ReservedInstanceId": "oc-88"}
    await world.tries_again("i-x")
    assert world.facts("i-x")["instance"] == ""
    world.give("i-x", "oc/oc-88")
    await world.answers("i-x")
    assert world.facts("i-x")["instance"] == "oc-88"


async def test_it_gives_up_on_a_disk_of_another_instance_and_leaves_what_a_later_generation_started(world: World) -> None:
    world.machines.create_volume("vol-x", 8)
    world.machines.volumes.get("vol-x").mark = "oc-other"
    world.tags["i-x"] = {"ReservedInstanceId": "oc-99"}
    world.boot("i-x", "oc-99", user_data=user_data())
    await until(lambda: has_given_up("i-x"))
    assert world.facts("i-x")["instance"] == ""
    world.boot("i-y", "oc-1", user_data=user_data())
    assert world.start("i-y", "oc-1", generation=2).exit_code == 0
    world.tags["i-y"] = {"ReservedInstanceId": "oc-1"}
    await until(lambda: has_given_up("i-y"))
    assert (world.facts("i-y")["running"], world.facts("i-y")["generation"]) == ("1", "2")


async def test_it_does_not_run_again_after_a_reboot(world: World) -> None:
    world.boot("i-x", "oc-1", user_data=user_data())
    await world.tries_again("i-x")
    await world.rebooted("i-x")
    await until(lambda: has_given_up("i-x"))
    world.tags["i-x"] = {"ReservedInstanceId": "oc-1"}
    assert world.facts("i-x")["instance"] == ""


def has_given_up(machine: str) -> bool:
    """Whether its user data has ended."""
    return all(thread.name != f"user-data-{machine}" for thread in threading.enumerate())


def test_other_user_data_does_nothing() -> None:
    assert UserData.parse("#!/bin/bash\necho hello\n") is None


def test_the_platforms_user_data_brings_the_whole_script() -> None:
    parsed = UserData.parse(render_user_data(IMAGE, ["https://claw.example.com"], ["10.0.0.0/16"], "openclaw"))
    assert parsed is not None
    assert parsed.script == machine_script()
