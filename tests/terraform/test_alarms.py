"""The alarms of terraform/monitoring.tf: each condition is caused in the lab, and the platform's own metrics trip the alarm."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from lab.plain import PlainLab, plain_lab
from lab.plane.plain_gateway import Fault
from openclaw_hosted import datadir
from openclaw_hosted.adapters.aws import gateways
from openclaw_hosted.bootstrap import Platform, aws, open_platform
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, CredentialsChange
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.metering import Metric
from openclaw_hosted.services.instances import CreateRequest
from openclaw_hosted.settings import load_settings
from tests.support.aws import aws_environment
from tests.support.waiting import until
from tests.terraform.support import Found, Terraform, planned

pytestmark = [pytest.mark.terraform, pytest.mark.long]
BRISK: Final = replace(
    aws.PACE,
    policy=replace(aws.PACE.policy, backoff_seconds=0.2),
    poll_seconds=0.1,
    liveness_seconds=0.3,
    metering_seconds=0.3,
)
WAIT_SECONDS: Final = 60.0
SPOT_TYPES: Final = ("t3.small", "t3a.small", "t3.medium", "t3a.medium")
SPOT_EVERYWHERE: Final = list(itertools.product(SPOT_TYPES, ("us-west-2a", "us-west-2b"), ("spot",)))
FIELDS: Final = {
    "alarm_name": "AlarmName", "namespace": "Namespace", "metric_name": "MetricName", "statistic": "Statistic",
    "comparison_operator": "ComparisonOperator", "threshold": "Threshold", "period": "Period",
    "evaluation_periods": "EvaluationPeriods", "treat_missing_data": "TreatMissingData",
}  # fmt: skip


@dataclass
class Watched:
    """A platform in a lab whose time can be moved on, with the alarms."""

    lab: PlainLab
    platform: Platform
    ahead: list[float]

    def state(self, alarm: str) -> str:
        self.lab.cloud.tick()
        found = self.lab.site.client("cloudwatch").describe_alarms(AlarmNames=[f"openclaw-{alarm}"])["MetricAlarms"]
        return str(found[0]["StateValue"])

    async def minutes_pass(self, minutes: int) -> None:
        """With a reading in each, as the platform makes one."""
        for _ in range(minutes):
            self.ahead[0] += 60
            before = len(self.lab.cloud.calls.of("cloudwatch:PutMetricData"))
            await until(lambda before=before: len(self.lab.cloud.calls.of("cloudwatch:PutMetricData")) > before + 1, WAIT_SECONDS)  # type: ignore[misc]

    def newest(self, metric: Metric) -> float | None:
        series = self.lab.cloud.metrics.series.get(("OpenClawHosted", metric.value, frozenset({("Deployment", "openclaw")})))
        return series[-1].most if series else None

    async def is_full(self) -> None:
        await until(lambda: self.newest(Metric.AVAILABLE) == 2, WAIT_SECONDS)

    async def running(self) -> Instance:
        """An instance of a user, running."""
        accounts, instances = self.platform.services.accounts, self.platform.services.instances
        user = await accounts.create_user(SETUP, "user@example.com", "a-long-password-of-theirs", Role.USER)
        made, _ = await instances.create(SETUP.proved(user), CreateRequest("mine", DEFAULT_SETTINGS, CredentialsChange()))

        async def runs() -> bool:
            return (await self.platform.store.instances.get(made.id)).phase is Phase.RUNNING

        await until(runs, WAIT_SECONDS)
        return await self.platform.store.instances.get(made.id)


@pytest.fixture(scope="module")
def alarms(terraform: Terraform) -> list[Mapping[str, Any]]:
    """As Terraform would make them."""
    plan = planned(terraform, Found())
    return [values for address, values in plan.items() if address.startswith("aws_cloudwatch_metric_alarm.")]


@pytest.fixture
def lab(alarms: list[Mapping[str, Any]]) -> Iterator[PlainLab]:
    with plain_lab() as made:
        client = made.site.client("cloudwatch")
        for alarm in alarms:
            dimensions = [{"Name": name, "Value": value} for name, value in alarm["dimensions"].items()]
            given = {name: alarm[key] for key, name in FIELDS.items()}
            client.put_metric_alarm(**given, Dimensions=dimensions)
        yield made


@asynccontextmanager
async def watched(lab: PlainLab, folder: Path, ahead: list[float] | None = None) -> AsyncIterator[Watched]:
    ahead = [0.0] if ahead is None else ahead
    lab.cloud.clock = lambda: time.time() + ahead[0]
    with aws_environment(lab.site, OPENCLAW_HOSTED_DATA_DIR=str(folder)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "PACE", BRISK)
        patch.setattr(gateways, "INSPECT_SECONDS", 0.3)
        patch.setattr(gateways, "GRACE_SECONDS", 0.3)
        settings = load_settings()
        datadir.prepare(settings.data_dir)
        async with open_platform(settings, lambda _: None) as platform, platform.controlling():
            yield Watched(lab, platform, ahead)


async def test_a_pool_without_spares_is_an_alarm_and_so_is_silence(lab: PlainLab, tmp_path: Path) -> None:
    async with watched(lab, tmp_path) as world:
        await world.is_full()
        await world.minutes_pass(1)
        assert world.state("pool-depleted") == "OK"
        lab.cloud.faults.capacity = dict.fromkeys(SPOT_EVERYWHERE, 0)
        for machine in await world.platform.store.machines.list_live():
            lab.machines.cut_power(machine.provider_ref or "")
        await until(lambda: world.newest(Metric.AVAILABLE) == 0, WAIT_SECONDS)
        await world.minutes_pass(4)
        assert world.state("pool-depleted") == "OK", "a moment without spares is none"
        await world.minutes_pass(2)
        assert world.state("pool-depleted") == "ALARM"
        lab.cloud.faults.capacity = {}
        await world.platform.services.operations.resume_pool(SETUP)
        await world.is_full()
        await world.minutes_pass(1)
        assert world.state("pool-depleted") == "OK"
    world.ahead[0] += 301
    assert world.state("pool-depleted") == "ALARM", "nobody tells of the pool any more"


async def test_launches_that_fail_are_an_alarm(lab: PlainLab, tmp_path: Path) -> None:
    lab.cloud.faults.capacity = dict.fromkeys(SPOT_EVERYWHERE, 0)
    async with watched(lab, tmp_path) as world:
        await until(lambda: world.state("launch-failures") == "ALARM", WAIT_SECONDS)
        lab.cloud.faults.capacity = {}
        await world.platform.services.operations.resume_pool(SETUP)
        await world.is_full()
        await world.minutes_pass(6)
        assert world.state("launch-failures") == "OK"


async def test_a_gateway_that_ends_again_and_again_is_an_alarm(lab: PlainLab, tmp_path: Path) -> None:
    async with watched(lab, tmp_path) as world:
        instance = await world.running()
        assert instance.machine_id is not None
        ref = (await world.platform.store.machines.get(instance.machine_id)).provider_ref or ""
        await until(lambda: world.newest(Metric.ASSIGNMENT) is not None, WAIT_SECONDS)
        assert 0 < (world.newest(Metric.ASSIGNMENT) or 0) < WAIT_SECONDS
        await world.is_full()
        await world.minutes_pass(3)
        assert (world.state("crash-loops"), world.newest(Metric.HEALTHY), world.newest(Metric.UNHEALTHY)) == ("OK", 1, 0)
        lab.machines.break_machine(ref, Fault.GATEWAY_CRASHES)
        lab.machines.crash_gateway(ref)
        await until(lambda: world.newest(Metric.CRASH_LOOPS) == 1, WAIT_SECONDS)
        await world.minutes_pass(3)
        assert (world.state("crash-loops"), world.newest(Metric.UNHEALTHY)) == ("ALARM", 1)


async def test_notices_that_nobody_reads_are_an_alarm(lab: PlainLab, tmp_path: Path) -> None:
    ahead = [0.0]
    lab.cloud.clock = lambda: time.time() + ahead[0]
    lab.site.client("sqs").send_message(QueueUrl=lab.site.notices_queue, MessageBody="{}")
    for _ in range(6):
        ahead[0] += 60
        lab.cloud.tick()
    alarm = lab.site.client("cloudwatch").describe_alarms(AlarmNames=["openclaw-notices-unread"])["MetricAlarms"][0]
    assert alarm["StateValue"] == "ALARM"
    async with watched(lab, tmp_path, ahead) as world:
        await world.is_full()
        await world.minutes_pass(4)
        assert world.state("notices-unread") == "OK"
