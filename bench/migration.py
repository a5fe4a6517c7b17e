"""For how long a user of the old ECS system waits while `openclaw-hosted migrate run` moves them.

    make bench-migration            # or: python -m bench.migration --users 5 --tasks containers --json FILE

The old system is in the lab: services, load balancer rules, target groups and secrets of the emulated AWS, tasks that are real OpenClaws
(containers where a Docker engine answers, else processes), states in one folder that stands for EFS. Each user has spoken a turn and has a
file. The new platform runs on this computer as its user starts it, with machines that are processes. A browser that is signed in asks at
each user's old address all the time, and follows where it leads. What is measured is the longest time there without OpenClaw's page.
Anything but OpenClaw's page or the waiting page, at any time, fails the run; so does a file, a turn or a user that is missing afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from openclaw_hosted.adapters.local.docker.image import ensure_image
from openclaw_hosted.adapters.local.gateway_home import GatewayHome
from openclaw_hosted.adapters.local.install import ensure_openclaw
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap import open_vault
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.migration import FORWARD, OFFLINE
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.integration.migration.ecs.old_system import OldAccount
from tests.support.docker import engine_answers
from tests.support.old_openclaws import TOKEN, InContainers, InProcesses, OldOpenClaws, OldTask, speak
from tests.support.platform import ADMIN_EMAIL, RunningPlatform, share_install, wait_until
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

TARGET_SECONDS = 30.0
EVERY_SECONDS = 0.2
PER_USER_SECONDS = 300.0
"""Of the command that moves them."""
STEPS = tuple(step for step in FORWARD if step in OFFLINE)
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
        """The longest time without OpenClaw's page, in seconds."""
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
    """One user, afterwards. All in seconds."""

    user: str
    gap_seconds: float
    """As the browser saw it."""
    held_seconds: float
    """As the migration itself noted it."""
    steps: Mapping[str, float]
    """How long each step took at which the user waited."""


@dataclass(frozen=True)
class OldSystem:
    """In the lab."""

    account: OldAccount
    openclaws: OldOpenClaws
    node: Path
    """The Node.js of the OpenClaw that runs, whose SQLite can read its databases."""
    address: str
    """The old load balancer's."""

    def task_of(self, user: str) -> OldTask:
        return self.openclaws.tasks[f"openclaw-{user}"]

    def state_of(self, user: str) -> Path:
        return self.openclaws.efs / "users" / user


@contextmanager
def old_system(root: Path, users: Sequence[str], image: str | None) -> Iterator[OldSystem]:
    """All users' services, up, each with a turn and a file. Their tasks are containers of `image`, or processes without one."""
    cloud, session = LabCloud(delays=Delays(remembered_seconds=0.0)), botocore.session.Session()
    session.set_credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    cloud.balancers = LabBalancers(cloud.topology)
    try:
        account = OldAccount(cloud, lambda name: session.create_client(name, region_name="us-west-2", endpoint_url=cloud.endpoint_url))
        account.build()
        release, efs = asyncio.run(ensure_openclaw(root, say)), root / "efs"
        runner = InProcesses(root, release, efs) if image is None else InContainers(image, {account.file_system: efs})
        cloud.tasks = openclaws = OldOpenClaws(runner, efs)
        _, port = cloud.balancers.address(account.balancer, 80)
        made = OldSystem(account, openclaws, release.node, f"http://localhost:{port}")
        for user in users:
            account.add_user(user, email=ADMIN_EMAIL, **{TOKEN: secrets.token_urlsafe(32)})
            wait_until(lambda user=user: f"openclaw-{user}" in openclaws.tasks, PATIENCE_SECONDS, lambda: "\n".join(cloud.crashes))
            made.task_of(user).speak(said_by(user))
            file = made.state_of(user) / FILE
            file.parent.mkdir(exist_ok=True)
            file.write_text(said_by(user))
            say(f"{user} is on the old system")
        yield made
    finally:
        cloud.close()
        if isinstance(cloud.tasks, OldOpenClaws):
            cloud.tasks.close()
        cloud.balancers.close()


def said_by(user: str) -> str:
    """What each wrote into the conversation and into the file."""
    return f"remember the milk of {user}"


@dataclass(frozen=True)
class Migrated:
    """Both systems, with all users on the new one and askers at their old addresses."""

    platform: RunningPlatform
    old: OldSystem
    rows: Mapping[str, Mapping[str, Any]]
    """What the command said of each user."""
    askers: Mapping[str, Asker]

    def instance_of(self, user: str) -> InstanceId:
        return InstanceId(self.rows[user]["instance_id"])

    def state_of(self, user: str) -> Path:
        return self.platform.data_dir / "volumes" / volume_of(self.instance_of(user)) / "state"

    def speak(self, user: str, text: str) -> None:
        """One turn with the new gateway, asked of it itself."""
        instance_id = self.instance_of(user)
        with self.platform.api() as api:
            machine = next(each for each in api.get("/machines").json()["items"] if each["instance_id"] == instance_id)
        address = GatewayHome(self.platform.data_dir / "machines" / machine["provider_ref"], SystemClock()).address
        speak(address, open_vault(self.platform.data_dir)(instance_id)[Credential.GATEWAY_TOKEN], text)

    def until_answered(self) -> None:
        """Until OpenClaw's page comes at each old address."""
        since = time.monotonic()
        wait_until(lambda: all(each.answered[-1] > since for each in self.askers.values()), PATIENCE_SECONDS)


@contextmanager
def migrated(root: Path, old: OldSystem, users: Sequence[str]) -> Iterator[Migrated]:
    """Move them by command. Raises `SystemExit` where that fails."""
    mapping = root / "old.yaml"
    mapping.write_text(json.dumps({
        "listeners": [old.account.listener], "state": {"mounts": {old.account.file_system: str(old.openclaws.efs)}},
    }))  # fmt: skip
    endpoint = {"AWS_ENDPOINT_URL": old.account.cloud.endpoint_url, "OPENCLAW_HOSTED_MAPPING": str(mapping)}
    platform = RunningPlatform(root / "data", free_port(), {**KEYS, **endpoint})
    with ExitStack() as stack:
        stack.callback(platform.end_all)
        platform.start(spares=0)
        browser = stack.enter_context(closing(signed_in(platform)))
        askers = {user: Asker(browser, f"{old.address}/{user}/") for user in users}
        for asker in askers.values():
            asker.start()
            stack.callback(asker.end)
        wait_until(lambda: all(len(asker.answered) > 1 for asker in askers.values()), PATIENCE_SECONDS, lambda: str(askers))
        say("moving")
        command = ("migrate", "run", "--all", "--soak-seconds", "0", "--json")
        done = platform.cli(*command, check=False, timeout_seconds=PER_USER_SECONDS * len(users))
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        made = Migrated(platform, old, {row["user"]: row for row in json.loads(done.stdout)["items"]}, askers)
        made.until_answered()
        yield made


def moved(all_of_it: Migrated, *, keeps_turns: bool) -> list[Moved]:
    """How long each waited. Raises `SystemExit` where anything is lost."""
    for user in all_of_it.askers:
        check(all_of_it, user)
        if keeps_turns:
            check_conversation(all_of_it.old.node, all_of_it.state_of(user), said_by(user))
        all_of_it.speak(user, f"and the bread of {user}")
    return [
        Moved(user, asker.gap, all_of_it.rows[user]["offline_seconds"], spent(all_of_it.rows[user]))
        for user, asker in all_of_it.askers.items()
    ]


def spent(row: Mapping[str, Any]) -> Mapping[str, float]:
    """Seconds by step at which the user waited."""
    notes = [note for note in row["notes"] if note["ended_at"] is not None]
    return {str(step): sum(each["ended_at"] - each["started_at"] for each in notes if each["step"] == step) for step in STEPS}


def check_conversation(node: Path, state: Path, text: str) -> None:
    """What was said is where OpenClaw keeps conversations, and its own SQLite finds each database whole. Raises `SystemExit`."""
    if not any(text.encode() in path.read_bytes() for path in (state / "agents").rglob("*.sqlite*")):
        raise SystemExit(f"In {state}, nobody said {text!r}.")
    for path in (*state.glob("agents/*/agent/openclaw-agent.sqlite"), *state.glob("state/openclaw.sqlite")):
        done = subprocess.run([node, "-e", WHOLE, path], capture_output=True, text=True, check=False)
        if done.stdout.strip() != "ok":
            raise SystemExit(f"{path} is not whole: {done.stdout}{done.stderr}")


def check(all_of_it: Migrated, user: str) -> None:
    """The file came along, and the old side is quiet. Raises `SystemExit`."""
    row, state, strange = all_of_it.rows[user], all_of_it.state_of(user), all_of_it.askers[user].strange
    if row["state"] != "done" or (state / FILE).read_text() != said_by(user):
        raise SystemExit(f"{user} is {row['state']}, with {sorted(state.iterdir())}")
    if strange:
        raise SystemExit(f"At the old address of {user} there was {set(strange)}.")
    if all_of_it.old.task_of(user).runs():
        raise SystemExit(f"The old OpenClaw of {user} still runs.")


def names(users: int) -> list[str]:
    """As the old system calls so many."""
    return [f"user-{number}" for number in range(1, users + 1)]


def measure(
    root: Path, users: int, image: str | None = None, install: Callable[[Path], None] = share_install, *, keeps_turns: bool = True
) -> list[Moved]:
    """Build the old system, with containers of `image` or with processes, and move all its users. `install` puts OpenClaw, or what stands
    for it, into a data directory."""
    for data_dir in (root, root / "data"):
        install(data_dir)
    with old_system(root, names(users), image) as old, migrated(root, old, names(users)) as made:
        return moved(made, keeps_turns=keeps_turns)


def rows(found: Sequence[Moved]) -> Sequence[Sequence[str]]:
    """The results for people, in seconds."""
    figures = {each.user: [each.gap_seconds, each.held_seconds, *(each.steps[step] for step in STEPS)] for each in found}
    columns = list(zip(*figures.values(), strict=True))
    figures["median"] = [statistics.median(column) for column in columns]
    figures["worst"] = [max(column) for column in columns]
    heading = ("seconds without OpenClaw", "at the old address", "noted", *STEPS)
    target = ("target", f"{TARGET_SECONDS:.0f}", *("" for _ in heading[2:]))
    return [heading, *((name, *(f"{value:.1f}" for value in values)) for name, values in figures.items()), target]


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--users", type=int, default=5, help="how many are moved (5)")
    kinds = ("containers", "processes")
    arguments.add_argument("--tasks", choices=kinds, help="what the old tasks are (containers where a Docker engine answers)")
    given = arguments.parse_args()
    tasks = given.tasks or kinds[not engine_answers()]
    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        root = Path(folder)
        share_install(root)
        release = asyncio.run(ensure_openclaw(root, say))
        image = asyncio.run(ensure_image(release, say)) if tasks == "containers" else None
        load = os.getloadavg()
        found = measure(root, given.users, image)
    result = {
        "target_seconds": TARGET_SECONDS,
        "tasks": tasks,
        "load_at_the_start": [round(each, 2) for each in load],
        "gaps": [each.gap_seconds for each in found],
        "noted": [each.held_seconds for each in found],
        "steps": {str(step): [each.steps[step] for each in found] for step in STEPS},
    }
    publish(result, rows(found), given.json)


if __name__ == "__main__":
    main()
