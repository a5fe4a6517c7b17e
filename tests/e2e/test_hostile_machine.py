"""A tenant with the real OpenClaw in a container attacks everybody else from inside, in the ways that once took the most."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.e2e.test_journey import sign_in
from tests.integration.bad_days.test_bad_days import created, machine_of
from tests.integration.bad_days.test_hostile_tenant import end_machine
from tests.integration.docker.test_hostile_volume import RACE, TRIGGER
from tests.support.browser import new_context, visit
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, running_platform, wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.openclaw, pytest.mark.docker, pytest.mark.browser, pytest.mark.long]

TAKE_OVER = """
const files = JSON.parse(process.argv[1]);
const takeOver = (files) => {
  const { Server } = process.getBuiltinModule("node:http");
  const emit = Server.prototype.emit;
  Server.prototype.emit = function (what, request, response) {
    const file = what === "request" && files[new URL(request.url, "http://x").pathname];
    if (!file) return emit.apply(this, arguments);
    response.writeHead(200, { "Content-Type": file.kind, "Service-Worker-Allowed": "/" });
    response.end(file.body);
    return true;
  };
};
const { readdirSync, readFileSync } = require("fs");
const named = (pid) => /^[0-9]+$/.test(pid) && readFileSync(`/proc/${pid}/comm`, "utf8");
const gateway = readdirSync("/proc").find((pid) => (named(pid) || "").startsWith("openclaw-gat"));
process.kill(Number(gateway), "SIGUSR1");
const found = async () => {
  for (;;) {
    try {
      return (await (await fetch("http://127.0.0.1:9229/json/list")).json())[0].webSocketDebuggerUrl;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
};
found().then((address) => {
  const inspector = new WebSocket(address);
  const expression = `(${takeOver})(${JSON.stringify(files)})`;
  inspector.onopen = () => inspector.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } }));
  inspector.onmessage = ({ data }) => { console.log(data); process.exit(); };
});
"""
"""Has the tenant's own gateway, through the debugger of Node.js, serve pages of the tenant's under the instance's address."""
REGISTER = """<title>waiting</title><script>
navigator.serviceWorker.register("SCRIPT", {scope: "/"})
  .then(() => { document.title = "taken" }, (error) => { document.title = error.name });
</script>"""
NESTED = """
require("fs").writeFileSync("/home/node/.openclaw/openclaw.json", '{"a":' + "[".repeat(200000) + "]".repeat(200000) + "}");
"""


@pytest.fixture(scope="module")
def platform(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    assert image
    with running_platform(tmp_path_factory.mktemp("p") / "data", spares=0, environment={"MACHINES": "docker"}) as running:
        yield running


@pytest.fixture(scope="module")
def api(platform: RunningPlatform) -> Iterator[httpx.Client]:
    with platform.api() as client:
        yield client


@pytest.fixture(scope="module")
def worst(platform: RunningPlatform, api: httpx.Client) -> Iterator[str]:
    """The tenant's own instance. Its trigger keeps its own OpenClaw from ending as well, so that is ended by force."""
    made = created(api, "Worst")
    yield made
    machine = machine_of(platform, made)
    platform.kill()
    end_machine(machine)


@pytest.fixture(scope="module")
def other(api: httpx.Client) -> str:
    """Somebody else's."""
    return created(api, "Other")


def container_of(platform: RunningPlatform, instance_id: str) -> str:
    machine = machine_of(platform, instance_id).name
    command = ("docker", "ps", "--quiet", "--filter", f"label=openclaw-hosted.machine={machine}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def inside(platform: RunningPlatform, instance_id: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """Run a command in an instance's container, as its user."""
    line = ("docker", "exec", *options, container_of(platform, instance_id), *command)
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS).stdout


def test_a_page_of_the_instance_gets_no_worker_for_the_whole_origin(platform: RunningPlatform, worst: str, browser: Browser) -> None:
    """That such a worker would read the account page: integration/web/test_shared_origin.py."""
    page_at, worker_at = f"/{worst}/evil.html", f"/{worst}/sw.js"
    files = {
        page_at: {"kind": "text/html", "body": REGISTER.replace("SCRIPT", worker_at)},
        worker_at: {"kind": "text/javascript", "body": "self.addEventListener('fetch', () => {});"},
    }
    assert "exception" not in inside(platform, worst, "node", "-e", TAKE_OVER, json.dumps(files))
    context = new_context(browser)
    page = sign_in(context, platform, ADMIN_EMAIL, ADMIN_PASSWORD)
    visit(page, platform.url + page_at)
    expect(page).to_have_title("SecurityError")
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((found) => found.length)") == 0
    context.close()


def test_what_lies_on_the_volume_harms_nobody_elses_instance_or_backup(
    platform: RunningPlatform, worst: str, other: str, tmp_path: Path
) -> None:
    inside(platform, other, "sh", "-c", "echo mine >~/.openclaw/note")
    inside(platform, worst, "truncate", "--size", "1T", "/home/node/.openclaw/huge")
    inside(platform, worst, "node", "-e", TRIGGER)
    inside(platform, worst, "node", "-e", RACE, options=("--detach",))
    inside(platform, worst, "node", "-e", NESTED)
    platform.kill()
    platform.start(spares=0)
    end_machine(machine_of(platform, other))
    wait_until(lambda: SupervisedProcess(machine_of(platform, other)).status().child_pid, PATIENCE_SECONDS, lambda: platform.output)

    made = json.loads(platform.cli("backup", str(tmp_path / "archive"), "--json").stdout)
    assert made["incomplete"] == [volume_of(InstanceId(worst))]
    with closing(sqlite3.connect(platform.data_dir / "platform.sqlite")) as database:
        ((password_hash,),) = database.execute("SELECT password_hash FROM users")
    with tarfile.open(tmp_path / "archive") as archive:
        names = archive.getnames()
        assert f"volumes/{volume_of(InstanceId(other))}/state/note" in names
        for name in names:
            kept = archive.extractfile(name) if name.startswith(f"volumes/{volume_of(InstanceId(worst))}/") else None
            assert kept is None or password_hash.encode() not in kept.read(), name
