"""On AWS a placement is one trace, with each call to AWS in the step that it belongs to; calls are counted by their API."""

from __future__ import annotations

from openclaw_hosted.bootstrap.telemetry import telemetry
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.settings_operating import OperatingSettings
from tests.integration.aws.world import CLOCK, KEY, WITH_KEY, AwsWorld
from tests.support.collector import collecting
from tests.support.waiting import until

TOKEN = "a-key-of-the-collector"


async def test_a_placement_shows_each_call_to_aws_within_its_step_and_no_secret(world: AwsWorld) -> None:
    told = {"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={TOKEN}"}
    with collecting() as collector:
        asked = OperatingSettings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **told})
        async with telemetry(asked, "0a1b2c3d", CLOCK) as made:
            world.watch, world.spares = made.watch, 0
            async with world.control_plane() as plane:
                created = await plane.create(*WITH_KEY)

                async def runs() -> bool:
                    return (await plane.store.instances.get(created.id)).phase is Phase.RUNNING

                await until(runs)
        (root,) = [span for span in collector.spans if span.name == "placement"]
        trace = {span.id: span for span in collector.spans if span.trace == root.trace}
        calls = [span for span in trace.values() if span.kind == 3]
        within = {(trace[span.parent].name, span.name) for span in calls}
        assert any(name == "secretsmanager:CreateSecret" and step == "step secret" for step, name in within)
        assert any(step == "step gateway" for step, _ in within)
        assert all(span.attributes["openclaw_hosted.service"] in span.name for span in calls)
        everything = b"".join(collector.bodies)
        assert KEY.encode() not in everything
        assert TOKEN.encode() not in everything
    minutes = [bucket for _, bucket in made.watch.tally.take()]
    counted = {name: made for bucket in minutes for name, made in bucket.calls.items()}
    assert counted["ec2:CreateFleet"].made >= 1
    assert "secretsmanager:CreateSecret" in counted
