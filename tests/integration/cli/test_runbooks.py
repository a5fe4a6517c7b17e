"""Each command of the runbooks, as its page writes it, run while the page's alarm is on.

The commands are read from the pages. One that a page has and this file does not know fails: say here what it does.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.alarms import Limits, alarm_named
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.errors import Denied
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, CredentialsChange
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.ports.volumes import LargeVolume
from openclaw_hosted.services.instances import CreateRequest
from tests.integration.cli.conftest import Cli, Ran
from tests.support.actors import acting
from tests.support.runbooks import commands_by_page
from tests.support.whole_platform import OWNER, WholePlatform, whole_platform

PAGES = commands_by_page()
ON_AWS = "openclaw-hosted machines shell "
"""Such commands are run in tests/integration/aws/test_shell.py."""


@pytest.fixture(scope="module")
def lab() -> Iterator[WholePlatform]:
    with whole_platform() as platform:
        yield platform


@dataclass
class Night:
    """One page: what its capital words stand for, and the commands that were run."""

    lab: WholePlatform
    page: str
    names: dict[str, str] = field(default_factory=lambda: {"EMAIL": OWNER})

    def running(self) -> Instance:
        """A user's instance, on what was the spare, with nothing left to be written about it."""
        made = self.lab.ask(self._create())
        self.lab.until(lambda: self.lab.instance(made).phase is Phase.RUNNING and self.lab.instance(made).is_filed, "it runs")
        instance = self.lab.instance(made)
        assert instance.machine_id is not None
        self.names |= {"INSTANCE": instance.id, "MACHINE": instance.machine_id}
        return instance

    async def _create(self) -> InstanceId:
        user = await self.lab.platform.services.accounts.user_by_email(OWNER)
        assert user is not None
        made, _ = await self.lab.platform.services.instances.create(
            acting(user), CreateRequest(f"of {self.page}", DEFAULT_SETTINGS, CredentialsChange())
        )
        return made.id

    def begins(self, name: str, **options: Any) -> None:
        """An alarm is on."""
        alarm = alarm_named(name)
        assert alarm is not None
        assert self.lab.judge(alarm, **options).is_on, f"{name} is not on"

    def words(self, command: str) -> list[str]:
        return [self.names.get(word, word) for word in shlex.split(command)[1:]]


Check = Callable[[Night, Ran], None]


def says(*texts: str, code: int = 0) -> Check:
    """It ends with `code`, and prints these, in which names of the page stand for what they are."""

    def check(night: Night, ran: Ran) -> None:
        assert ran.code == code, ran.stderr + ran.stdout
        for text in texts:
            expected = night.names.get(text, text)
            assert expected in ran.stdout + ran.stderr, f"{expected!r} is not in {ran.stdout}"

    return check


def restarts(night: Night, ran: Ran) -> None:
    says("INSTANCE")(night, ran)
    lab, instance_id = night.lab, night.names["INSTANCE"]
    [event] = [each for each in lab.events(EventName.INSTANCE_RESTART_ASKED) if each.instance_id == instance_id]
    assert event.actor is not None
    lab.until(lambda: lab.instance(instance_id).phase is Phase.RUNNING, "it runs again")
    lab.until(lambda: lab.instance(instance_id).restarts_done == lab.instance(instance_id).restarts_asked, "it was restarted")


def moves(night: Night, ran: Ran) -> None:
    says("INSTANCE")(night, ran)
    lab, before = night.lab, night.names["MACHINE"]
    lab.until(lambda: lab.instance(night.names["INSTANCE"]).machine_id not in (None, before), "it is on another machine")
    lab.until(lambda: lab.machine(before).state is MachineState.TERMINATED, "the old one ends")


def looks_at_the_computer(night: Night, ran: Ran) -> None:
    says("database", "volumes")(night, ran)


def spare_again(night: Night, ran: Ran) -> None:
    says("paused", "no")(night, ran)
    night.lab.until(lambda: night.lab.spares() >= 1, "there is a spare")


def mended_then_lists(night: Night, ran: Ran) -> None:
    says("assigned")(night, ran)
    night.lab.cloud.hook = None


def looked(night: Night, ran: Ran) -> None:
    says("status")(night, ran)
    assert night.lab.events(EventName.POOL_REPLENISH_ASKED)


def spares_set(wanted: int) -> Check:
    def check(night: Night, ran: Ran) -> None:
        says("spares ready", f"of {wanted}")(night, ran)
        night.lab.until(lambda: night.lab.spares() >= min(1, wanted) or night.page == "pool-depleted", "there is a spare")

    return check


def crash_loops(night: Night) -> None:
    instance = night.running()
    for times in (1, 2, 3):
        night.lab.say(EventName.GATEWAY_RESTARTED, instance, restarts=times)
    night.begins("crash-loops")


def disk_full(night: Night) -> None:
    instance = night.running()
    night.lab.volumes.large = [LargeVolume(volume_of(instance.id), instance.id, 90_000_000_000, 1_000_000)]
    night.begins("disk-full")


def gateway_hangs(night: Night) -> None:
    instance = night.running()
    machine = night.lab.cloud.machine(str(night.lab.machine(str(instance.machine_id)).provider_ref))
    machine.log.append(f"{datetime.fromtimestamp(night.lab.now, UTC):%Y-%m-%d %H:%M:%S} WARN [agent] a tool does not return")
    night.lab.say(EventName.GATEWAY_HUNG, instance)
    night.begins("gateway-hangs")


def instances_failed(night: Night) -> None:
    instance = night.running()
    night.lab.put(instance.id, phase=Phase.FAILED, phase_changed_at=night.lab.now, last_error="It was tried twelve times.")
    night.begins("instances-failed")


async def refused(call: str, when: str) -> None:
    if (call, when) == ("machines.launch", "before"):
        raise Denied("UnauthorizedOperation: the role may not launch machines.")


def launch_failures(night: Night) -> None:
    lab, before = night.lab, len(night.lab.events(EventName.MACHINE_LAUNCH_FAILED))
    lab.cloud.hook = refused
    night.running()
    lab.until(lambda: len(lab.events(EventName.MACHINE_LAUNCH_FAILED)) >= before + 3, "three launches fail")
    night.begins("launch-failures")


def notices_unread(night: Night) -> None:
    night.running()


def over_budget(night: Night) -> None:
    night.running()
    orphan = Orphan("volume vol-22222222", night.lab.now, OrphanState.QUARANTINED)
    night.lab.ask(night.lab.platform.store.platform.keep_orphans([orphan], (), ()))
    night.begins("over-budget", deployment=Deployment(), limits=Limits(budget_usd=1.0))


def pool_depleted(night: Night) -> None:
    night.lab.ask(night.lab.platform.store.platform.set_pool(paused=True))
    night.running()
    night.begins("pool-depleted")


LISTS_MACHINES, SHOWS_POOL = says("ID", "assigned"), says("status", "spares ready")
BEGINS: Mapping[str, Callable[[Night], None]] = {
    "README": crash_loops, "crash-loops": crash_loops, "disk-full": disk_full, "gateway-hangs": gateway_hangs,
    "instances-failed": instances_failed, "launch-failures": launch_failures, "notices-unread": notices_unread, "over-budget": over_budget,
    "pool-depleted": pool_depleted,
}  # fmt: skip
CHECKS: Mapping[str, Mapping[str, Check]] = {
    "README": {"alarms list": says("crash-loops", code=1), "diagnose INSTANCE": says("INSTANCE")},
    "crash-loops": {
        "machines show MACHINE": says("MACHINE", "assigned", "INSTANCE"),
        "instances show INSTANCE --user EMAIL": says("INSTANCE", "Running"),
        "instances logs INSTANCE --user EMAIL --lines 400": says("gateway ready"),
        "instances restart INSTANCE --user EMAIL": restarts,
        "machines drain MACHINE": moves,
    },
    "disk-full": {
        "status": says("INSTANCE", "90.0 GB"),
        "doctor": says("INSTANCE", "90.0 GB", code=1),
        "diagnose INSTANCE": says("The disk is full.", "disk-full", code=1),
    },
    "gateway-hangs": {
        "alarms list": says("gateway-hangs", "INSTANCE", code=1),
        "diagnose INSTANCE": says("it answers as itself"),
        "instances logs INSTANCE --user EMAIL --since 30m --level warn": says("a tool does not return"),
        "instances restart INSTANCE --user EMAIL": restarts,
        "machines drain MACHINE": moves,
    },
    "instances-failed": {
        "alarms list": says("instances-failed", "INSTANCE", code=1),
        "diagnose INSTANCE": says("failed: It was tried twelve times."),
        "instances restart INSTANCE --user EMAIL": restarts,
    },
    "launch-failures": {
        "pool show": says("last error", "UnauthorizedOperation"),
        "doctor": looks_at_the_computer,
        "machines list": mended_then_lists,
        "pool resume": spare_again,
        "pool replenish": looked,
    },
    "notices-unread": {"status": says("ready"), "doctor": looks_at_the_computer},
    "over-budget": {
        "cost": says("$ A MONTH"),
        "pool show": SHOWS_POOL,
        "orphans list": says("volume vol-22222222", "quarantined"),
        "pool set 1": spares_set(1),
        "machines drain MACHINE": moves,
    },
    "pool-depleted": {
        "pool show": says("paused", "0 of 1"),
        "machines list": LISTS_MACHINES,
        "pool set 6": spares_set(6),
        "pool reset": spares_set(1),
        "cost": says("$ A MONTH"),
        "pool resume": spare_again,
    },
}
"""By page and command, without its first word."""


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_commands_of_a_runbook_do_what_it_says(lab: WholePlatform, cli: Cli, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setenv("OPENCLAW_HOSTED_DATA_DIR", str(lab.data_dir))
    monkeypatch.setattr(LocalVolumes, "crowding", lambda _: lab.volumes.crowding())
    lab.clean()
    night = Night(lab, page)
    BEGINS[page](night)
    done = set()
    for command in PAGES[page]:
        if command.startswith(ON_AWS):
            continue
        name = command.removeprefix("openclaw-hosted ")
        assert name in CHECKS[page], f"say in this file what `{command}` does"
        CHECKS[page][name](night, cli.bare(*night.words(command)))
        done.add(name)
    assert done == set(CHECKS[page]), "the page no longer has the others"
