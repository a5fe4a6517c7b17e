"""`/metrics`: what Prometheus reads, who may, and that the dashboard and the rules in deploy/ name only what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.alarms import ALARMS, AlarmState
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.exposition import HELP, PREFIX, Exposed, Sample, quantile, render
from openclaw_hosted.domain.history import Bucket, rolled_up
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.measures import Calls, lasted
from openclaw_hosted.domain.naming import InstanceId
from tests.integration.web.conftest import ORIGIN, World

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\\]|\\\\.)*",?)+)\})? (-?[0-9.e+-]+)$')
PARTS = re.compile("_(bucket|sum|count)$")
"""Of a histogram."""
NAME = re.compile(rf"\b{PREFIX}[a-z_]+")


async def scraped(world: World, admin: User) -> dict[tuple[str, str], float]:
    """Each value by its name and labels."""
    async with world.api(admin) as api:
        answer = await api.get(f"{ORIGIN}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[tuple[str, str], float] = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            read = SAMPLE.match(line)
            assert read is not None, line
            assert (read[1], read[2] or "") not in found
            found[read[1].removeprefix(PREFIX), read[2] or ""] = float(read[3])
    return found


async def test_what_there_is_is_counted(world: World, admin: User, ada: User) -> None:
    async with world.api(ada) as api:
        ids = [(await api.post("/instances", json={"name": "Mine"})).json()["id"] for _ in range(2)]
    await world.run(ids[0])
    await world.add_machine(MachineState.AVAILABLE)
    ran = Event(EventName.INSTANCE_RUNNING, world.clock.now() + 12.5, InstanceId(ids[0]))
    await world.store.platform.add_event(ran)
    await world.store.alarms.save([AlarmState("disk-full", began_at=1.0)], ())
    world.ready = {"database": True, "control loops": False}
    counted = Bucket(steps={StepName.VOLUME: lasted(0.3) + lasted(4.0)}, calls={"ec2:CreateFleet": Calls(9, 2, 1)})
    await world.store.history.add_tallied(rolled_up([(1.0, counted), (world.clock.now(), counted)]), world.clock.now())
    found = await scraped(world, admin)
    expected = {
        ("machines", 'state="available"'): 1, ("machines", 'state="assigned"'): 1, ("machines", 'state="terminating"'): 0,
        ("instances", 'phase="running"'): 1, ("waiting_instances", ""): 1, ("spares_wanted", ""): 2, ("gateways", 'health="healthy"'): 1,
        ("assignment_seconds", 'quantile="0.5"'): 12.5, ("alarm_on", 'alarm="disk-full"'): 1, ("alarm_on", 'alarm="over-budget"'): 0,
        ("step_seconds_bucket", 'step="volume",le="0.2"'): 0, ("step_seconds_bucket", 'step="volume",le="0.5"'): 2,
        ("step_seconds_bucket", 'step="volume",le="+Inf"'): 4, ("step_seconds_sum", 'step="volume"'): 8.6,
        ("step_seconds_count", 'step="volume"'): 4, ("cloud_calls_total", 'call="ec2:CreateFleet"'): 18,
        ("cloud_call_errors_total", 'call="ec2:CreateFleet"'): 4, ("cloud_call_throttles_total", 'call="ec2:CreateFleet"'): 2,
        ("ready", 'check="database"'): 1, ("ready", 'check="control_loops"'): 0, ("pool_status", 'status="filling"'): 1,
    }  # fmt: skip
    assert {key: found.get(key) for key in expected} == expected
    assert not any(name == "estimated_cost_usd_per_month" for name, _ in found)
    names = {PARTS.sub("", name) for name, _ in found}
    assert names | {"estimated_cost_usd_per_month"} == {metric.value for metric in Exposed}


async def test_only_admins_read_them_and_only_by_a_token(world: World, admin: User, ada: User) -> None:
    async with world.api(ada) as users, world.client() as nobody, world.browser(admin) as browser:
        assert (await users.get(f"{ORIGIN}/metrics")).status_code == 403
        assert (await nobody.get("/metrics")).status_code == 401
        assert (await browser.get("/metrics")).status_code in (401, 403)


def test_labels_are_escaped_and_each_metric_has_its_help_once() -> None:
    text = render([Sample(Exposed.INFO, 1, {"version": 'a"b\\c\nd'}), Sample(Exposed.WAITING, 2)])
    assert text == (
        f"# HELP {PREFIX}info {HELP[Exposed.INFO]}\n# TYPE {PREFIX}info gauge\n"
        f'{PREFIX}info{{version="a\\"b\\\\c\\nd"}} 1\n'
        f"# HELP {PREFIX}waiting_instances {HELP[Exposed.WAITING]}\n# TYPE {PREFIX}waiting_instances gauge\n{PREFIX}waiting_instances 2\n"
    )
    assert set(HELP) == set(Exposed)


def test_a_quantile_is_one_of_the_values() -> None:
    assert [quantile([4, 1, 3, 2], share) for share in (0.5, 0.75, 0.95, 1)] == [2, 3, 4, 4]
    assert quantile([7], 0.95) == 7


def test_rules_and_dashboard_name_metrics_runbooks_and_alarms_that_there_are() -> None:
    known = {f"{PREFIX}{metric}" for metric in Exposed}
    rules = (ROOT / "deploy" / "prometheus-rules.yaml").read_text()
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    assert all(NAME.findall(expression) for expression in (*shown, *asked))
    assert {PARTS.sub("", name) for expression in (*shown, *asked) for name in NAME.findall(expression)} <= known
    assert {PARTS.sub("", name) for expression in shown for name in NAME.findall(expression)} == known
    for rule in (each for group in yaml.safe_load(rules)["groups"] for each in group["rules"]):
        runbook = rule["annotations"]["runbook"]
        assert "{{" in runbook or (ROOT / runbook).is_file(), rule["alert"]
    assert {"pool-depleted", "crash-loops"} <= {alarm.name for alarm in ALARMS}
