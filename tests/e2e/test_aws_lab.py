"""The journey of a user on AWS, in the full lab: machines with Docker of their own, the real OpenClaw, a real browser."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from lab.nested import NestedLab, nested_lab
from lab.site import LOG_GROUP, Plan
from tests.e2e.test_journey import open_instance, say, sign_in, spare_is_ready
from tests.support.browser import new_context
from tests.support.lab_platform import LabPlatform
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.openclaw, pytest.mark.browser, pytest.mark.docker, pytest.mark.lab, pytest.mark.long]

SPARE_SECONDS = 600
ASK = """docker exec openclaw-gateway node -e '
const { gatewayToken } = JSON.parse(require("fs").readFileSync("/run/openclaw/secrets.json", "utf8"));
const headers = { authorization: "Bearer " + gatewayToken, "content-type": "application/json" };
const body = JSON.stringify({ model: "openclaw", messages: [{ role: "user", content: "ocelot tapir" }] });
fetch("http://127.0.0.1:8080/v1/chat/completions", { method: "POST", headers, body }).then((it) => it.text()).then(console.log);'"""
"""One turn by the gateway's own API, whose replies OpenClaw prints."""
MARK = "echo the last line >/proc/$(docker inspect -f '{{.State.Pid}}' openclaw-gateway)/fd/2"
KEPT_FOR_UNDO = ("volumes", "secrets_pending_deletion", "snapshots")


@pytest.fixture(scope="module")
def lab(image: str) -> Iterator[NestedLab]:
    for tool in ("mmdebstrap", "docker-registry", "losetup", "iptables"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: apt-get install mmdebstrap docker-registry util-linux iptables")
    with nested_lab(image, Plan(platform=("127.0.0.1", free_port()), zones=("us-west-2a",)), print) as made:
        yield made


@pytest.fixture(scope="module")
def platform(lab: NestedLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabPlatform]:
    site = lab.site
    data_dir: Path = tmp_path_factory.mktemp("p") / "data"
    made = LabPlatform(data_dir, site.plan.platform[1], site.environment(), address=site.addresses()[0])
    try:
        made.start(spares=1)
        yield made
    finally:
        made.end_all()


@pytest.fixture(scope="module")
def api(platform: LabPlatform) -> Iterator[httpx.Client]:
    with platform.api() as client:
        yield client


@pytest.fixture(scope="module")
def opened(browser: Browser, platform: LabPlatform, api: httpx.Client) -> Iterator[tuple[Page, str]]:
    """The page of an instance that its owner created and opened, and its id."""
    wait_until(lambda: spare_is_ready(api), SPARE_SECONDS, lambda: f"no spare:\n{platform.output}", every=1)
    context = new_context(browser)
    page = sign_in(context, platform, ADMIN_EMAIL, ADMIN_PASSWORD)
    page.get_by_role("link", name=re.compile("new instance|create", re.IGNORECASE)).first.click()
    page.get_by_label("Name", exact=True).fill("On AWS")
    page.get_by_role("button", name="Create instance").click()
    expect(page).to_have_url(re.compile(r"/instances/oc-[a-z0-9]{8}$"))
    instance_id = page.url.rsplit("/", 1)[1]
    open_instance(page, page.url)
    yield page, instance_id
    context.close()


def machine_of(api: httpx.Client, instance_id: str) -> dict[str, str]:
    found: list[dict[str, str]] = api.get("/machines").json()["items"]
    return next(machine for machine in found if machine["instance_id"] == instance_id)


def test_a_user_gets_from_sign_in_to_a_chat_behind_the_load_balancer(opened: tuple[Page, str]) -> None:
    page, instance_id = opened
    say(page, "zebra quagga")
    expect(page.get_by_text("You said: zebra quagga").first).to_be_visible()
    assert f"/{instance_id}/" in page.url


def test_the_gateways_own_apis_are_not_reachable_through_the_load_balancer(platform: LabPlatform, opened: tuple[Page, str]) -> None:
    instance_id = opened[1]
    for path in (f"/{instance_id}/api/v1/admin/rpc", f"/{instance_id}/v1/models", f"/{instance_id}/tools/invoke"):
        answer = httpx.post(platform.url + path, json={"method": "health"}, headers={"Authorization": "Bearer x"})
        assert answer.status_code == 404, f"{path}: {answer.status_code}"


def test_an_operator_sees_the_machine_as_the_troubleshooting_page_says(
    platform: LabPlatform, lab: NestedLab, api: httpx.Client, opened: tuple[Page, str]
) -> None:
    machine = machine_of(api, opened[1])
    filters = [{"Name": "tag:Name", "Values": ["openclaw-user-instance"]}]
    found = lab.site.client("ec2").describe_instances(Filters=filters)["Reservations"]
    tags = {each["InstanceId"]: {t["Key"]: t["Value"] for t in each["Tags"]} for r in found for each in r["Instances"]}
    assert tags[machine["provider_ref"]]["Status"] == "assigned"
    assert tags[machine["provider_ref"]]["UserId"]
    said = platform.cli("machines", "shell", machine["id"], "--command", "docker ps; docker logs openclaw-gateway 2>&1 | tail -5", "--json")
    shown = json.loads(said.stdout)
    assert shown["exit_code"] == 0
    assert "openclaw-gateway" in shown["stdout"]


def logged(lab: NestedLab, stream: str) -> list[str]:
    """What CloudWatch has of one machine."""
    logs = lab.site.client("logs")
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP)["logStreams"]
    if stream not in [each["logStreamName"] for each in streams]:
        return []
    events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True)["events"]
    return [event["message"] for event in events]


def test_what_a_gateway_prints_is_in_cloudwatch_and_no_conversation_is(
    platform: LabPlatform, lab: NestedLab, api: httpx.Client, opened: tuple[Page, str]
) -> None:
    page, instance_id = opened
    say(page, "zebra okapi")
    expect(page.get_by_text("You said: zebra okapi").first).to_be_visible(timeout=90_000)
    machine = machine_of(api, instance_id)

    def shell(line: str) -> str:
        return str(json.loads(platform.cli("machines", "shell", machine["id"], "--command", line, "--json").stdout)["stdout"])

    assert "You said: ocelot tapir" in shell(ASK)
    shell(MARK)
    ref = machine["provider_ref"]
    wait_until(lambda: "the last line" in logged(lab, ref), 60, lambda: str(logged(lab, ref)), every=1)
    assert "Gateway is binding" in "".join(logged(lab, ref))
    kept = shell("docker logs openclaw-gateway 2>&1")
    assert "the last line" in kept
    own = platform.cli("instances", "logs", instance_id).stdout
    assert "You said: ocelot tapir" in own, "the user's own page shows it, so that it is there to be found"
    for text in ("okapi", "ocelot"):
        assert text not in "".join(logged(lab, ref)) + kept
    written = [call for call in lab.cloud.calls.of("logs:PutLogEvents") if call.caller == ref]
    assert written
    assert {call.error for call in written} == {None}


def test_a_tenants_machine_reaches_neither_its_neighbours_gateway_nor_their_secret(
    platform: LabPlatform, lab: NestedLab, api: httpx.Client, opened: tuple[Page, str]
) -> None:
    wait_until(lambda: spare_is_ready(api), SPARE_SECONDS, lambda: f"no spare:\n{platform.output}", every=1)
    mine = machine_of(api, opened[1])
    neighbour = next(machine for machine in api.get("/machines").json()["items"] if machine["state"] == "available")
    found = lab.site.client("ec2").describe_instances(InstanceIds=[neighbour["provider_ref"]])
    host = found["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
    knock = f"timeout 5 bash -c '</dev/tcp/{host}/8080' && echo reached || echo shut; curl -s -m 5 localhost:8080/healthz"
    said = json.loads(platform.cli("machines", "shell", mine["id"], "--command", knock, "--json").stdout)["stdout"]
    assert "shut" in said
    assert "reached" not in said
    assert '"ok":true' in said
    container = (
        "docker exec openclaw-gateway node -e \"fetch('http://169.254.169.254/').then(()=>console.log('in'),()=>console.log('out'))\""
    )
    assert "out" in json.loads(platform.cli("machines", "shell", mine["id"], "--command", container, "--json").stdout)["stdout"]


def test_a_machine_killed_under_a_conversation_is_replaced_and_the_history_is_there(
    platform: LabPlatform, lab: NestedLab, api: httpx.Client, opened: tuple[Page, str], browser: Browser
) -> None:
    _, instance_id = opened
    before = machine_of(api, instance_id)
    lab.site.client("ec2").terminate_instances(InstanceIds=[before["provider_ref"]])

    def is_replaced() -> bool:
        found = api.get(f"/instances/{instance_id}").json()
        return bool(found["phase"] == "running" and found["generation"] == 2)

    wait_until(is_replaced, SPARE_SECONDS, lambda: f"{api.get(f'/instances/{instance_id}').json()}\n{platform.output[-3000:]}", every=1)
    context = new_context(browser)
    page = sign_in(context, platform, ADMIN_EMAIL, ADMIN_PASSWORD)
    open_instance(page, f"{platform.url}/instances/{instance_id}")
    expect(page.get_by_text("You said: zebra quagga").first).to_be_visible()
    context.close()


def test_a_deleted_instance_leaves_nothing_but_what_is_kept_for_undo(
    lab: NestedLab, api: httpx.Client, opened: tuple[Page, str], platform: LabPlatform
) -> None:
    wait_until(lambda: spare_is_ready(api), SPARE_SECONDS, lambda: f"no spare:\n{platform.output}", every=1)
    api.delete(f"/instances/{opened[1]}").raise_for_status()
    wait_until(lambda: api.get(f"/instances/{opened[1]}").json()["phase"] == "deleted", 180, every=1)
    wait_until(lambda: spare_is_ready(api), SPARE_SECONDS, lambda: f"no spare:\n{platform.output}", every=1)
    one_spare = {
        "instances": 1,
        "rules": 3 + 1,
        "target_groups": 1 + 1,
        "targets": 1 + 1,
        "secrets": 1 + 1,
        "network_interfaces": 1,
        "addresses": 1,
    }
    deadline = time.monotonic() + 120
    while {kind: lab.cloud.inventory()[kind] for kind in one_spare} != one_spare:
        assert time.monotonic() < deadline, lab.cloud.inventory()
        time.sleep(1)
    assert lab.cloud.inventory()["secrets_pending_deletion"] == 1
    volumes = lab.site.client("ec2").describe_volumes()["Volumes"]
    kept = [volume for volume in volumes if not volume["Attachments"] and volume["State"] == "available"]
    assert len(kept) == 1
    assert lab.cloud.crashes == []
