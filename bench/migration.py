"""For how long a user of the old ECS system waits while `openclaw-hosted migrate run` moves them.

    make bench-migration            # or: python -m bench.migration --users 5 --json FILE

The old system is in the lab: services, load balancer rules and target groups of the emulated AWS, tasks that are real OpenClaws, states in
one folder that stands for EFS. Each user has spoken a turn and has a file. The new platform runs on this computer as its user starts it,
with machines that are processes. A browser that is signed in asks at each user's old address all the time, and follows where it leads. The
gap is the time from OpenClaw's last answer there before to the first one after. Anything but OpenClaw's page or the waiting page, at any
time, fails the run; so does a file, a turn or a user that is missing afterwards.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import httpx

from bench.claim import is_openclaw, signed_in
from bench.harness import parser, publish, say
from lab.cloud.latency import Delays
from lab.cloud.server import LabCloud
from lab.plane.balancer import LabBalancers
from openclaw_hosted.adapters.local.gateway_home import GatewayHome
from openclaw_hosted.adapters.local.install import ensure_openclaw
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap import open_vault
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.integration.migration.ecs.old_system import OldAccount
from tests.support.old_openclaws import OldOpenClaws, speak
from tests.support.platform import ADMIN_EMAIL, RunningPlatform, share_install, wait_until
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

TARGET_SECONDS = 30.0
EVERY_SECONDS = 0.1
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAACCOUNT", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-west-2"}
FILE = "workspace/notes.md"
WHOLE = """
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync(process.argv[1], { readOnly: true });
console.log(database.prepare("PRAGMA integrity_check").get().integrity_check);
"""


@dataclass
class Asker:
    """Asks at one user's old address all the time, in a thread of its own."""

    browser: httpx.Client
    address: str
    answered: list[float] = field(default_factory=list)
    """When OpenClaw's page came."""
    held: list[float] = field(default_factory=list)
    """When the page that says to wait came."""
    strange: list[str] = field(default_factory=list)
    """Whatever else came."""
    _ends: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ends.set()
        assert self._thread is not None
        self._thread.join()

    @property
    def gap(self) -> float:
        """The longest time without OpenClaw's page."""
        return max(after - before for before, after in zip(self.answered, self.answered[1:], strict=False))

    def _ask(self) -> None:
        while not self._ends.wait(EVERY_SECONDS):
            try:
                answer = self.browser.get(self.address, follow_redirects=True)
            except httpx.HTTPError as problem:
                self.strange.append(type(problem).__name__)
                continue
            if is_openclaw(answer):
                self.answered.append(time.monotonic())
            elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and 'http-equiv="refresh"' in answer.text:
                self.held.append(time.monotonic())
            else:
                self.strange.append(f"{answer.status_code} at {answer.url.path}")


@dataclass(frozen=True)
class Moved:
    """One user, afterwards."""

    user: str
    gap_seconds: float
    held_seconds: float
    """As the migration itself noted it."""


@dataclass(frozen=True)
class OldSystem:
    """In the lab."""

    account: OldAccount
    openclaws: OldOpenClaws
    address: str
    """The old load balancer's."""

    def task_of(self, user: str) -> Any:
        return self.openclaws.tasks[f"openclaw-{user}"]

    def state_of(self, user: str) -> Path:
        return self.openclaws.efs / "users" / user


@contextmanager
def old_system(root: Path, users: Sequence[str]) -> Iterator[OldSystem]:
    """All users' services, up, each with a turn and a file."""
    cloud, session = LabCloud(delays=Delays(remembered_seconds=0.0)), botocore.session.Session()
    session.set_credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    cloud.balancers = LabBalancers(cloud.topology)
    try:
        account = OldAccount(cloud, lambda name: session.create_client(name, region_name="us-west-2", endpoint_url=cloud.endpoint_url))
        account.build()
        openclaws = OldOpenClaws(root, asyncio.run(ensure_openclaw(root, say)), root / "efs")
        cloud.tasks = openclaws
        _, port = cloud.balancers.address(account.balancer, 80)
        made = OldSystem(account, openclaws, f"http://localhost:{port}")
        for user in users:
            account.add_user(user, email=ADMIN_EMAIL)
            wait_until(lambda user=user: f"openclaw-{user}" in openclaws.tasks, PATIENCE_SECONDS)
            made.task_of(user).speak(said_by(user))
            file = made.state_of(user) / FILE
            file.parent.mkdir(exist_ok=True)
            file.write_text(said_by(user))
            say(f"{user} is on the old system")
        yield made
    finally:
        cloud.close()
        cloud.balancers.close()


def said_by(user: str) -> str:
    """What each wrote into the conversation and into the file."""
    return f"remember the milk of {user}"


def moved(root: Path, old: OldSystem, users: Sequence[str], *, keeps_turns: bool) -> list[Moved]:
    """Move them by command, with askers at their old addresses. Raises `SystemExit` where anything is lost."""
    mapping, data_dir = root / "old.yaml", root / "data"
    mapping.write_text(json.dumps({
        "listeners": [old.account.listener], "state": {"mounts": {old.account.file_system: str(old.openclaws.efs)}},
    }))  # fmt: skip
    endpoint = {"AWS_ENDPOINT_URL": old.account.cloud.endpoint_url, "OPENCLAW_HOSTED_MAPPING": str(mapping)}
    platform = RunningPlatform(data_dir, free_port(), {**KEYS, **endpoint})
    with ExitStack() as stack:
        stack.callback(platform.end_all)
        platform.start(spares=0)
        browser = stack.enter_context(closing(signed_in(platform)))
        askers = {user: Asker(browser, f"{old.address}/{user}/") for user in users}
        for asker in askers.values():
            asker.start()
        wait_until(lambda: all(len(asker.answered) > 1 for asker in askers.values()), PATIENCE_SECONDS, lambda: str(askers))
        say("moving")
        done = platform.cli("migrate", "run", "--all", "--soak-seconds", "0", "--json", check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        since = time.monotonic()
        wait_until(lambda: all(asker.answered[-1] > since for asker in askers.values()), PATIENCE_SECONDS)
        for asker in askers.values():
            asker.end()
        rows = {row["user"]: row for row in json.loads(done.stdout)["items"]}
        for user in users:
            check(platform, old, user, rows[user], askers[user])
            if keeps_turns:
                check_conversation(platform, old.openclaws.release.node, user, InstanceId(rows[user]["instance_id"]))
        return [Moved(user, askers[user].gap, rows[user]["offline_seconds"]) for user in users]


def check_conversation(platform: RunningPlatform, node: Path, user: str, instance_id: InstanceId) -> None:
    """What was said before is where the new gateway keeps conversations, and OpenClaw's own SQLite finds each database whole. Raises
    `SystemExit`."""
    state = platform.data_dir / "volumes" / volume_of(instance_id) / "state"
    if not any(said_by(user).encode() in path.read_bytes() for path in (state / "agents").rglob("*.sqlite*")):
        raise SystemExit(f"The conversation of {user} is gone.")
    for path in (*state.glob("agents/*/agent/openclaw-agent.sqlite"), *state.glob("state/openclaw.sqlite")):
        done = subprocess.run([node, "-e", WHOLE, path], capture_output=True, text=True, check=False)
        if done.stdout.strip() != "ok":
            raise SystemExit(f"{path.name} of {user} is not whole: {done.stdout}{done.stderr}")


def check(platform: RunningPlatform, old: OldSystem, user: str, row: dict[str, Any], asker: Asker) -> None:
    """Nothing is lost, and the new gateway goes on with it. Raises `SystemExit`."""
    instance_id = InstanceId(row["instance_id"])
    state = platform.data_dir / "volumes" / volume_of(instance_id) / "state"
    text = said_by(user)
    if row["state"] != "done" or (state / FILE).read_text() != text:
        raise SystemExit(f"{user} is {row['state']}, with {sorted(state.iterdir())}")
    if asker.strange:
        raise SystemExit(f"At the old address of {user} there was {set(asker.strange)}.")
    if old.task_of(user).process.poll() is None:
        raise SystemExit(f"The old OpenClaw of {user} still runs.")
    with platform.api() as api:
        machine = next(each for each in api.get("/machines").json()["items"] if each["instance_id"] == instance_id)
    address = GatewayHome(platform.data_dir / "machines" / machine["provider_ref"], SystemClock()).address
    speak(address, open_vault(platform.data_dir)(instance_id)[Credential.GATEWAY_TOKEN], f"and the bread of {user}")


def measure(root: Path, users: int, install: Callable[[Path], None] = share_install, *, keeps_turns: bool = True) -> list[Moved]:
    """Build the old system, and move all its users. `install` puts OpenClaw, or what stands for it, into a data directory."""
    names = [f"user-{number}" for number in range(1, users + 1)]
    for data_dir in (root, root / "data"):
        install(data_dir)
    with old_system(root, names) as old:
        return moved(root, old, names, keeps_turns=keeps_turns)


def rows(found: Sequence[Moved]) -> Sequence[Sequence[str]]:
    """The results for people."""
    gaps, noted = [each.gap_seconds for each in found], [each.held_seconds for each in found]
    lines = [("seconds without OpenClaw", "users", "median", "worst", "target")]
    lines.append(
        ("asked at the old address", f"{len(gaps)}", f"{statistics.median(gaps):.1f}", f"{max(gaps):.1f}", f"{TARGET_SECONDS:.0f}")
    )
    lines.append(("noted by the migration", f"{len(noted)}", f"{statistics.median(noted):.1f}", f"{max(noted):.1f}", ""))
    return lines


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--users", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        found = measure(Path(folder), given.users)
    for each in found:
        say(f"{each.user}: {each.gap_seconds:.1f} s")
    result = {
        "target_seconds": TARGET_SECONDS,
        "gaps": [each.gap_seconds for each in found],
        "noted": [each.held_seconds for each in found],
    }
    publish(result, rows(found), given.json)


if __name__ == "__main__":
    main()
