"""The platform's machine script on a plain machine: its verbs and exit codes."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from lab.plane import plain, plain_machine
from lab.plane.plain_gateway import Fault
from tests.lab.plane.plain_world import IMAGE, SCRIPT, TOKEN, World, config, order, volume_of
from tests.support.clock import MovedTime
from tests.support.waiting import PATIENCE_SECONDS, until

VOLUME = volume_of("i-x")


async def test_start_runs_a_gateway_that_answers_as_its_instance_does(world: World, http: httpx.AsyncClient) -> None:
    before = int(time.time())
    world.boot("i-x")
    assert world.start("i-x").exit_code == 0
    await world.answers("i-x")
    client = world.client(http, "i-x")
    assert (await client.bridge("identity"))["instanceId"] == "oc-1111"
    assert await client.is_ready()
    facts = world.facts("i-x")
    assert (facts["running"], facts["instance"], facts["generation"], facts["image"]) == ("1", "oc-1111", "1", IMAGE)
    assert before <= int(facts["started"]) <= time.time()
    assert (facts["exit"], facts["problem"], facts["volume"]) == ("", "", VOLUME)


async def test_start_said_twice_leaves_the_same_process_and_notes_the_generation(world: World, http: httpx.AsyncClient) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    before = await world.client(http, "i-x").bridge("identity")
    assert world.start("i-x", generation=4, fresh=0).exit_code == 0
    assert await world.client(http, "i-x").bridge("identity") == before
    assert world.facts("i-x")["generation"] == "4"
    assert world.start("i-x", generation=3).exit_code == 3
    assert world.do("i-x", "secrets", instance="oc-1111", generation=3, secret="oc/oc-1111").exit_code == 3


async def test_another_image_takes_the_place_of_the_running_one(world: World, http: httpx.AsyncClient) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    before = await world.client(http, "i-x").bridge("identity")
    assert world.start("i-x", generation=2, image="registry.test/openclaw:2", fresh=0).exit_code == 0
    await world.answers("i-x")
    assert await world.client(http, "i-x").bridge("identity") != before
    assert world.facts("i-x")["image"].endswith(":2")


def test_it_refuses_a_volume_that_is_not_attached_or_holds_other_data(world: World) -> None:
    world.boot("i-x")
    assert world.start("i-x", volume="vol-dead").exit_code == 5
    assert world.start("i-x", fresh=0).exit_code == 4
    volume = world.machines.volumes.get(VOLUME)
    (volume.folder / "photo").touch()
    assert world.start("i-x", fresh=1).exit_code == 4
    (volume.folder / "photo").unlink()
    volume.mark = "oc-2222"
    assert world.start("i-x", fresh=1).exit_code == 4
    assert (volume.mark, volume.mounted) == ("oc-2222", False)


def test_it_refuses_a_secret_that_is_absent_or_of_another_machine(world: World) -> None:
    world.boot("i-x")
    world.give("i-other", "oc/oc-1111")
    assert world.start("i-x").exit_code == 6
    assert world.start("i-x", secret="oc/none").exit_code == 6
    assert world.do("i-x", "stop").exit_code == 0
    assert world.machines.detach(VOLUME)


def test_it_says_when_the_image_cannot_be_had_or_the_words_are_wrong(world: World) -> None:
    world.boot("i-x")
    world.machines.missing_images.add(IMAGE)
    assert world.start("i-x").exit_code == 7
    assert world.do("i-x", "dance").exit_code == 2
    assert world.do("i-x", "start", instance="oc-1111").exit_code == 2
    assert world.start("i-x", config="not-base64!").exit_code == 2
    assert world.machines.run("i-x", "uname -a", 5.0).exit_code == 127
    assert world.machines.run("i-x", "", 5.0).exit_code == 127
    assert world.do("i-x", "prepare", image=IMAGE).exit_code == 7
    for verb, words in {"keep-config": {}, "restart": {"now": 1}, "logs": {"lines": 9}}.items():
        assert world.do("i-x", verb, **words).exit_code == 8
    facts = world.facts("i-x")
    assert (facts["running"], facts["refused"], facts["instance"], facts["exit"]) == ("0", "0", "", "")


def test_a_disk_with_an_empty_file_system_is_taken_whether_or_not_it_is_said_to_be_fresh(world: World) -> None:
    world.boot("i-x")
    world.machines.volumes.get(VOLUME).format()
    assert world.start("i-x", fresh=0).exit_code == 0
    assert world.machines.volumes.get(VOLUME).mark == "oc-1111"


async def test_another_volume_takes_the_place_of_the_one_that_is_mounted(world: World, http: httpx.AsyncClient) -> None:
    world.boot("i-x")
    world.start("i-x")
    world.machines.create_volume("vol-beef", 8)
    world.machines.attach("i-x", "/dev/sdg", "vol-beef")
    world.give("i-x", "oc/oc-2222")
    assert world.start("i-x", "oc-2222", volume="vol-beef").exit_code == 0
    await world.answers("i-x")
    assert (await world.client(http, "i-x").bridge("identity"))["instanceId"] == "oc-2222"
    assert world.machines.detach(VOLUME), "it is in use no more"


def test_a_start_that_fails_counts_its_generation_all_the_same(world: World) -> None:
    world.boot("i-x")
    assert world.start("i-x", generation=5, secret="oc/none").exit_code == 6
    assert world.start("i-x", generation=4).exit_code == 3


async def test_calls_before_the_last_one_are_made_and_do_not_decide(world: World) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    lines = f"{SCRIPT}openclaw_machine keep-config || true\nopenclaw_machine inspect"
    assert world.machines.run("i-x", lines, PATIENCE_SECONDS).exit_code == 0
    assert json.loads((world.machines.volumes.get(VOLUME).folder / "proven-config.json").read_text()) == config("oc-1111")
    world.do("i-x", "stop")
    assert world.machines.run("i-x", lines, PATIENCE_SECONDS).exit_code == 0


async def test_a_gateway_that_was_refused_starts_with_what_was_proven_and_the_new_settings_on_top(world: World) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    world.do("i-x", "keep-config")
    world.machines.break_machine("i-x", Fault.SETTINGS_REFUSED)
    world.machines.volumes.get(VOLUME).config = {**config("oc-1111"), "broken": True}
    world.do("i-x", "restart", now=1)
    await until(lambda: world.facts("i-x")["refused"] == "1")
    world.machines.mend_machine("i-x")
    assert world.start("i-x", patch={"gateway": {"port": 8080}}).exit_code == 0
    await world.answers("i-x")
    kept = world.machines.volumes.get(VOLUME).config
    assert ("broken" in kept, kept["gateway"]["port"]) == (False, 8080)


async def test_secrets_are_in_force_once_the_gateway_is_told_to_read_them(world: World, http: httpx.AsyncClient) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    world.give("i-x", "oc/oc-1111", gatewayToken="a-new-token")
    assert world.do("i-x", "secrets", instance="oc-1111", generation=2, secret="oc/oc-1111").exit_code == 0
    await world.client(http, "i-x").bridge("secrets.reload")
    assert (await world.client(http, "i-x", "a-new-token").bridge("identity"))["instanceId"] == "oc-1111"
    world.give("i-other", "oc/oc-1111")
    assert world.do("i-x", "secrets", instance="oc-1111", generation=2, secret="oc/oc-1111").exit_code == 6
    assert world.do("i-x", "secrets", instance="oc-2222", generation=2, secret="oc/oc-1111").exit_code == 8


async def test_the_new_configuration_drops_what_referred_to_the_platforms_secrets(world: World) -> None:
    world.boot("i-x")
    key = {"apiKey": {"source": "file", "provider": "platform", "id": "/modelApiKey"}}
    own = {"baseUrl": "http://own.test", "apiKey": "own"}
    world.start("i-x", patch=config("oc-1111", anthropic=key, own=own))
    world.do("i-x", "stop")
    assert world.start("i-x", patch=config("oc-1111", openai=key)).exit_code == 0
    assert world.machines.volumes.get(VOLUME).config["models"]["providers"] == {"openai": key, "own": own}


async def test_a_gateway_that_refuses_its_settings_ends_with_78_and_a_start_puts_the_proven_ones_back(world: World) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    assert world.do("i-x", "keep-config").exit_code == 0
    proven = world.machines.volumes.get(VOLUME).config
    world.do("i-x", "stop")
    world.start("i-x", patch={"gateway": {"auth": None}})
    await until(lambda: world.facts("i-x")["refused"] == "1")
    facts = world.facts("i-x")
    assert (facts["running"], facts["exit"], facts["restarts"]) == ("0", "78", "0")
    assert b"without auth" in base64.b64decode(facts["problem"])
    assert world.start("i-x").exit_code == 0
    await world.answers("i-x")
    assert world.machines.volumes.get(VOLUME).config == proven


async def test_logs_tell_what_happened_without_the_secrets(world: World) -> None:
    world.boot("i-x")
    world.start("i-x")
    await world.answers("i-x")
    gateway = world.machines._machines["i-x"].engine.gateway
    assert gateway is not None
    gateway.log(f"a careless line with {TOKEN} in it")
    told = world.do("i-x", "logs", lines=2).stdout
    assert "a careless line with" in told
    assert TOKEN not in told
    assert len(told.splitlines()) == 2


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> MovedTime:
    """The time of the machines."""
    time = MovedTime()
    for module in (plain, plain_machine):
        monkeypatch.setattr(module, "time", time)
    return time


def interrupted(world: World, moved: MovedTime, what: Callable[[], object]) -> object:
    """What becomes of a start that is under way when this happens."""
    outcome: list[object] = []

    def start() -> None:
        try:
            outcome.append(world.start("i-x"))
        except LookupError as gone:
            outcome.append(gone)

    thread = threading.Thread(target=start)
    thread.start()
    assert moved.sleeps.wait(PATIENCE_SECONDS)
    what()
    moved.goes_on.set()
    thread.join()
    return outcome[0]


def test_a_command_that_is_under_way_when_its_machine_goes_starts_nothing(world: World, moved: MovedTime) -> None:
    world.boot("i-x")
    assert isinstance(interrupted(world, moved, lambda: world.machines.terminate("i-x")), LookupError)
    assert world.machines.volumes.get(VOLUME).attached_to is None


def test_a_reboot_ends_the_command_that_is_under_way(world: World, moved: MovedTime) -> None:
    world.boot("i-x")
    assert isinstance(interrupted(world, moved, lambda: world.machines.reboot("i-x")), LookupError)
    assert world.facts("i-x")["instance"] == ""
    assert world.start("i-x").exit_code == 0


def test_a_command_waits_for_the_one_before_it_no_longer_than_its_timeout(world: World, moved: MovedTime) -> None:
    world.boot("i-x")
    thread = threading.Thread(target=lambda: world.start("i-x"))
    thread.start()
    assert moved.sleeps.wait(PATIENCE_SECONDS)
    assert world.do("i-x", "stop", timeout=0.01).timed_out
    moved.goes_on.set()
    thread.join()
    assert world.do("i-x", "inspect").exit_code == 0


def test_a_machine_takes_commands_once_it_has_booted_and_its_agent_is_there(world: World, moved: MovedTime) -> None:
    world.machines.timing.agent = 300.0
    world.machines.launch(order("i-x", boot_seconds=200.0))
    assert world.machines.power("i-x") == "booting"
    for moved.ahead in (0.0, 201.0, 400.0):
        with pytest.raises(LookupError):
            world.do("i-x", "inspect")
    assert world.machines.power("i-x") == "running"
    moved.ahead = 501.0
    assert world.do("i-x", "inspect").exit_code == 0
    with pytest.raises(LookupError):
        world.do("i-unknown", "inspect")


def test_a_machine_that_never_boots_takes_no_command(world: World) -> None:
    world.machines.fail_next(Fault.NEVER_BOOTS)
    world.boot("i-x")
    world.boot("i-y", "oc-2222")
    assert world.machines.power("i-x") == "booting"
    assert world.machines.power("i-y") == "running"
    with pytest.raises(LookupError):
        world.start("i-x")
