"""From POST to an answer: a hot spare against a cold start of the same gateway, in the same run.

    make bench-claim            # or: python -m bench.claim --trials 10 --cold-trials 3 --json

Two platforms are started one after the other, each as its user starts it, with the real OpenClaw: one keeps hot spares, the other
spares that are booted only (`POOL_WARMTH=booted`), so that the gateway starts cold once it is claimed. Before each trial the
pool is full again. Measured from sending POST /api/v1/instances until

(a) `GET /{id}/` through the edge, with the session of the user, answers with OpenClaw's page;
(b) the first reply of the echo model has come back from the gateway.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from openclaw_hosted.adapters.local.gateway_home import GatewayHome
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap import open_vault
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, running_platform

TRIAL_TIMEOUT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Seconds from POST."""

    accepted: float
    route: float
    reply: float


def measure(data_dir: Path, warmth: str, trials: int, idle_seconds: float, say: Callable[[str], None]) -> list[Trial]:
    """Run `trials` creates on a fresh platform whose spares have this warmth, each after the full pool was idle for a while."""
    say(f"{warmth}: starting the platform")
    with running_platform(data_dir, spares=1, environment={"POOL_WARMTH": warmth}) as platform, platform.api() as api:
        browser = signed_in(platform)
        results = []
        for number in range(1, trials + 1):
            wait_for_spare(api)
            time.sleep(idle_seconds)
            trial = one_trial(platform, api, browser)
            say(f"{warmth} {number}/{trials}: route {trial.route:.3f} s, first reply {trial.reply:.2f} s")
            results.append(trial)
        return results


def one_trial(platform: RunningPlatform, api: httpx.Client, browser: httpx.Client) -> Trial:
    """One create, measured, and deleted again."""
    began = time.perf_counter()
    created = api.post("/instances", json={"name": "bench"})
    created.raise_for_status()
    accepted = time.perf_counter() - began
    instance_id = InstanceId(created.json()["id"])
    poll(lambda: is_openclaw(browser.get(f"/{instance_id}/")))
    route = time.perf_counter() - began
    first_reply(platform, api, instance_id)
    reply = time.perf_counter() - began
    poll(lambda: api.get(f"/instances/{instance_id}").json()["phase"] == "running")
    api.delete(f"/instances/{instance_id}").raise_for_status()
    poll(lambda: api.get(f"/instances/{instance_id}").json()["phase"] == "deleted", every=0.2)
    return Trial(accepted, route, reply)


def first_reply(platform: RunningPlatform, api: httpx.Client, instance_id: InstanceId) -> None:
    """Ask the gateway itself, with its token: its HTTP API is not reachable through the edge."""
    machine = next(
        machine for machine in api.get("/machines", params={"search": instance_id}).json()["items"] if machine["instance_id"] == instance_id
    )
    address = GatewayHome(platform.data_dir / "machines" / machine["provider_ref"], SystemClock()).address
    token = open_vault(platform.data_dir)(instance_id)[Credential.GATEWAY_TOKEN]
    answer = httpx.post(
        f"http://{address}/v1/chat/completions",
        json={"model": "openclaw", "messages": [{"role": "user", "content": "ping"}]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )
    answer.raise_for_status()
    assert "You said: ping" in answer.text, answer.text[:300]


def is_openclaw(answer: httpx.Response) -> bool:
    """Whether this is OpenClaw's page, not one of the platform's."""
    return answer.status_code == 200 and "<openclaw-app" in answer.text


def signed_in(platform: RunningPlatform) -> httpx.Client:
    """A client with a browser's session."""
    client = httpx.Client(base_url=platform.url, timeout=30)
    page = client.get("/sign-in")
    token = page.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0] if "csrf_token" in page.text else ""
    answer = client.post("/sign-in", data={"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD, "csrf_token": token})
    assert answer.status_code == 303, answer.text[:300]
    return client


def wait_for_spare(api: httpx.Client) -> None:
    """The pool is full again, and nothing else is under way."""
    poll(lambda: api.get("/pool").json()["status"] == "ready", every=0.5)


def poll(condition: Callable[[], bool], every: float = 0.005) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + TRIAL_TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("A trial did not end in time; see the platform's log.")
        time.sleep(every)


def summary(trials: list[Trial]) -> dict[str, float]:
    """Medians and the 95th percentile, in seconds."""
    routes = [trial.route for trial in trials]
    return {
        "trials": len(trials),
        "accepted_median": statistics.median(trial.accepted for trial in trials),
        "route_median": statistics.median(routes),
        "route_p95": sorted(routes)[min(len(routes) - 1, round(0.95 * len(routes) + 0.5) - 1)],
        "reply_median": statistics.median(trial.reply for trial in trials),
    }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--cold-trials", type=int, default=3)
    parser.add_argument("--idle", type=float, default=1.0, help="seconds that the full pool is left alone before each trial")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    with tempfile.TemporaryDirectory(prefix="och-") as folder:
        hot = summary(measure(Path(folder) / "hot", "hot", arguments.trials, arguments.idle, say))
        cold = summary(measure(Path(folder) / "cold", "booted", arguments.cold_trials, arguments.idle, say))
    result = {"hot": hot, "cold": cold, "times_faster": cold["route_median"] / hot["route_median"]}
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if arguments.json else table(result))


def table(result: dict[str, object]) -> str:
    """The result for people."""
    lines = [f"{'':8}{'trials':>8}{'accepted':>10}{'(a) route':>11}{'p95':>8}{'(b) reply':>11}"]
    for name in ("hot", "cold"):
        row = result[name]
        assert isinstance(row, dict)
        lines.append(
            f"{name:8}{row['trials']:8.0f}{row['accepted_median']:10.3f}{row['route_median']:11.3f}{row['route_p95']:8.3f}{row['reply_median']:11.2f}"
        )
    return "\n".join([*lines, f"A hot spare is {result['times_faster']:.0f} times faster. Seconds, medians."]) + "\n"


if __name__ == "__main__":
    main()
