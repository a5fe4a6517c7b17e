"""OpenTelemetry on a real collector: what it is sent of a placement, and that a collector in trouble is nobody's trouble."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.telemetry import Telemetry, telemetry
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.controllers.placement.traced import work_of
from openclaw_hosted.controllers.tallying import Tallying
from openclaw_hosted.controllers.telemetry import Exporting, TelemetryController
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.exposition import PREFIX, Exposed, Sample
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, CredentialsChange, encode_change
from openclaw_hosted.domain.history import Resolution
from openclaw_hosted.domain.instance import Instance, Phase, StepName
from openclaw_hosted.domain.measures import BOUNDS, lasted
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.domain.tally import Outcome
from openclaw_hosted.logging import logging_to
from openclaw_hosted.ports.stores import Caps, NewInstance
from openclaw_hosted.ports.tracing import Flow, Watch, Work
from openclaw_hosted.settings import SettingsError
from openclaw_hosted.settings_operating import OperatingSettings, load_operating_settings
from openclaw_hosted.store import Store
from tests.support.actors import acting_as
from tests.support.clock import HurriedClock
from tests.support.collector import Collector, Seen, collecting
from tests.support.ports import free_port
from tests.support.store import new_store
from tests.support.waiting import until

OWNER = UserId("u-owner")
KEY = "sk-a-key-of-the-user-0001"
MARK = "0a1b2c3d"
CLOCK = HurriedClock()
IDS = SystemIds()
OPTIONS = ControllerOptions(policy=PoolPolicy(spares=0, fleet_cap=5, image="v1"), scan_seconds=0.1, poll_seconds=0.1, metering_seconds=1e9)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await new_store(tmp_path / "platform.sqlite")
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    yield store
    await store.aclose()


def settings(endpoint: str, headers: str = "") -> OperatingSettings:
    return OperatingSettings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": headers or None})


def ports_on(store: Store, watch: Watch) -> Ports:
    cloud = FakeCloud(CLOCK)
    return Ports(
        FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud), FakeVolumes(cloud),
        KeptMeter(), CLOCK, IDS, store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
        store.restore_points, store.hints, watch=watch,
    )  # fmt: skip


@asynccontextmanager
async def at_work(ports: Ports) -> AsyncIterator[None]:
    task = asyncio.create_task(ControlLoops(ports, OPTIONS).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def placed(store: Store, ports: Ports) -> Instance:
    """One that was created with a key, once it runs and all of it is written."""
    instance_id = IDS.instance_id()
    given = encode_change(CredentialsChange({Credential.MODEL_API_KEY: KEY}))
    names = frozenset({Credential.MODEL_API_KEY})
    new = NewInstance(OWNER, "A name of the user", DEFAULT_SETTINGS, names, instance_id, actor=acting_as(OWNER))
    await store.instances.create(new, lambda its_id: ports.sealer.seal(given, its_id), Caps(10, 10), None, CLOCK.now())

    async def runs() -> bool:
        return (await store.instances.get(instance_id)).phase is Phase.RUNNING

    await until(runs)
    return await store.instances.get(instance_id)


def of(collector: Collector, instance_id: InstanceId) -> Sequence[Seen]:
    return [span for span in collector.spans if span.attributes.get("openclaw_hosted.instance") == instance_id]


async def test_a_placement_is_one_trace_with_a_span_for_each_step(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "platform.log"
    with collecting() as collector, logging_to("info", log):
        async with telemetry(settings(f"{collector.url}/", "Api-Key=a%20key,x-team=claws"), MARK, CLOCK) as made:
            ports = ports_on(store, made.watch)
            async with at_work(ports):
                instance = await placed(store, ports)
        (root,) = [span for span in collector.spans if span.name == "placement"]
        trace = [span for span in collector.spans if span.trace == root.trace]
        by_id = {span.id: span for span in trace}
        steps = {str(step.name) for step in await store.instances.steps(instance.id)}
        assert {span.name.removeprefix("step ") for span in trace if span.name.startswith("step ")} == steps
        assert all(by_id[span.parent].name == "placement attempt" for span in trace if span.name.startswith("step "))
        assert {by_id[span.parent].id for span in trace if span.name == "placement attempt"} == {root.id}
        assert root.parent == ""
        assert root.began <= min(span.began for span in trace)
        assert root.attributes["openclaw_hosted.instance"] == instance.id
        assert collector.headers[0]["api-key"] == "a key"
        assert collector.resources[0]["service.name"] == "openclaw-hosted"
        everything = b"".join(collector.bodies)
        for secret in (KEY, "A name of the user", OWNER, "a key"):
            assert secret.encode() not in everything


async def test_what_is_logged_meanwhile_names_trace_instance_and_machine(tmp_path: Path) -> None:
    log = tmp_path / "platform.log"
    with collecting() as collector, logging_to("info", log):
        async with telemetry(settings(collector.url), MARK, CLOCK) as made:
            work = Work(Flow.PLACEMENT, InstanceId("oc-1"), "1")
            with made.watch.tracer.attempt(work, {"instance": "oc-1"}), made.watch.tracer.span("step volume", {"step": "volume"}) as span:
                structlog.get_logger("here").info("said")
                span.fail("Unavailable", f"Bearer {KEY} of {KEY} was refused")
            structlog.get_logger("here").info("later")
            made.watch.tracer.finish(work, 1.0, 2.0, {"instance": "oc-1"}, f"It was {KEY}.")
    said, later = [json.loads(line) for line in log.read_text().splitlines() if '"here"' in line]
    step = next(each for each in collector.spans if each.name == "step volume")
    root = next(each for each in collector.spans if each.name == "placement")
    assert (said["trace_id"], said["span_id"]) == (step.trace, step.id)
    assert "trace_id" not in later
    assert (step.error, step.attributes["error.type"]) == ("Bearer [hidden] of [hidden] was refused", "Unavailable")
    assert (root.error, root.trace, root.ended - root.began) == ("It was [hidden].", step.trace, 1_000_000_000)


async def test_a_request_is_a_trace_of_its_own_that_names_its_id() -> None:
    with collecting() as collector:
        async with telemetry(settings(collector.url), MARK, CLOCK) as made:
            tracer = made.watch.tracer
            with tracer.request({"request_id": "0f3a9c51d2e47b68"}) as span:
                with tracer.span("ssm:SendCommand", {"service": "ssm"}, is_call=True):
                    pass
                span.was("POST /api/v1/instances", {"method": "POST", "route": "/api/v1/instances", "status": 503, "instance": "oc-1"})
                span.fail("503", "")
        request = next(each for each in collector.spans if each.name == "POST /api/v1/instances")
        call = next(each for each in collector.spans if each.name == "ssm:SendCommand")
    assert (request.parent, request.attributes["error.type"]) == ("", "503")
    assert request.attributes["openclaw_hosted.request_id"] == "0f3a9c51d2e47b68"
    assert request.attributes["openclaw_hosted.instance"] == "oc-1"
    assert {name: request.attributes[name] for name in ("http.request.method", "http.route", "http.response.status_code")} == {
        "http.request.method": "POST", "http.route": "/api/v1/instances", "http.response.status_code": 503,
    }  # fmt: skip
    assert (call.trace, call.parent) == (request.trace, request.id)


async def test_two_control_planes_that_try_one_work_make_one_trace() -> None:
    work, other = (Work(Flow.PLACEMENT, InstanceId("oc-1"), number) for number in "12")
    with collecting() as collector:
        for _ in range(2):
            async with telemetry(settings(collector.url), MARK, CLOCK) as made:
                for each in (work, other):
                    with made.watch.tracer.attempt(each, {}):
                        pass
        assert len(collector.spans) == 4
        assert len({span.trace for span in collector.spans}) == len({span.parent for span in collector.spans}) == 2


async def test_metrics_arrive_under_the_names_that_prometheus_reads() -> None:
    took = lasted(0.3) + lasted(4.0)
    samples = [
        Sample(Exposed.MACHINES, 3, {"state": "available"}), Sample(Exposed.CALLS, 7, {"call": "ec2:CreateFleet"}),
        Sample(Exposed.STEP, took, {"step": "volume"}),
    ]  # fmt: skip

    async def look() -> Sequence[Sample]:
        return samples

    with collecting() as collector:
        async with telemetry(settings(collector.url), MARK, CLOCK) as made:
            assert made.exporter is not None
            await TelemetryController(Exporting(look, made.exporter), CLOCK).tick()

            async def is_there() -> bool:
                return bool(collector.metrics)

            await until(is_there)
        (found,) = collector.metrics
    assert set(found) == {f"{PREFIX}{name}" for name in (Exposed.MACHINES, Exposed.CALLS, Exposed.STEP)}
    assert found[f"{PREFIX}machines"].gauge.data_points[0].as_double == 3
    calls = found[f"{PREFIX}cloud_calls_total"].sum
    assert (calls.is_monotonic, calls.data_points[0].as_double, calls.data_points[0].attributes[0].value.string_value) == (
        True, 7, "ec2:CreateFleet",
    )  # fmt: skip
    (steps,) = found[f"{PREFIX}step_seconds"].histogram.data_points
    assert (steps.count, steps.sum, tuple(steps.explicit_bounds), tuple(steps.bucket_counts)) == (2, 4.3, BOUNDS, took.dense)


@pytest.mark.parametrize("trouble", ["dead", "hanging"])
async def test_a_collector_in_trouble_stops_no_placement_and_holds_up_no_end(store: Store, trouble: str) -> None:
    with collecting() as collector:
        collector.hangs = True
        endpoint = collector.url if trouble == "hanging" else f"http://127.0.0.1:{free_port()}"
        async with telemetry(settings(endpoint), MARK, CLOCK) as made:
            assert made.exporter is not None
            ports = ports_on(store, made.watch)
            async with at_work(ports):
                for _ in range(3):
                    made.exporter.publish([Sample(Exposed.WAITING, 1)], CLOCK.now())
                    await placed(store, ports)
        assert not collector.released.is_set()


async def test_what_steps_took_and_calls_came_to_is_written_at_the_end(store: Store) -> None:
    watch = Watch()
    ports = ports_on(store, watch)
    async with Tallying(watch.tally, store.history, CLOCK).running(), at_work(ports):
        await placed(store, ports)
        watch.tally.call("ec2:CreateFleet", Outcome.THROTTLED, CLOCK.now())
    (ever,) = (await store.history.between(Resolution.EVER, 0, 1)).values()
    assert {StepName.MACHINE, StepName.VOLUME, StepName.GATEWAY, StepName.ROUTE, StepName.PROBE} <= set(ever.steps)
    assert ever.calls["ec2:CreateFleet"].throttled == 1


async def test_without_a_collector_nothing_is_sent_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telemetry(OperatingSettings.model_validate({}), MARK, CLOCK) as made:
        assert (made.exporter, made) == (None, Telemetry(made.watch))
    off = OperatingSettings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"})
    async with telemetry(off, MARK, CLOCK) as made:
        assert made.exporter is None
    for name, wrong in (
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:secret@example.com"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no-value"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, wrong)
            with pytest.raises(SettingsError, match=name) as told:
                load_operating_settings()
        assert "secret@" not in str(told.value)


async def test_a_restore_on_the_same_machine_is_another_trace(store: Store) -> None:
    instance = await placed_alone(store)
    first, filed = work_of(Flow.PLACEMENT, replace(instance, phase=Phase.PLACING)), work_of(Flow.PLACEMENT, instance)
    restored = replace(instance, phase=Phase.RESTORING, phase_changed_at=instance.phase_changed_at + 60)
    assert first == filed
    assert work_of(Flow.PLACEMENT, restored) == work_of(Flow.PLACEMENT, replace(restored, attempts=3)) != first
    assert work_of(Flow.UPDATE, instance) != work_of(Flow.UPDATE, replace(instance, restarts_asked=1))


async def placed_alone(store: Store) -> Instance:
    ports = ports_on(store, Watch())
    async with at_work(ports):
        return await placed(store, ports)


def test_a_platform_without_a_collector_loads_nothing_of_the_sdk() -> None:
    code = "import sys, openclaw_hosted.bootstrap; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
