"""For how long nothing answers when a user's machine is taken away: with two minutes' notice and a spare, and killed without notice.

    make bench-interruption            # or: python -m bench.interruption --trials 10 --json FILE
    python -m bench.interruption --lab # in the full lab, with the latencies that AWS is supposed to have; needs root and Docker

The platform runs on this computer as its user starts it, with the real OpenClaw in machines that are processes. A browser that is signed
in asks for OpenClaw's page at the instance's address, again as soon as it was answered, and at most ten times a second. The gap is the
time from the last answer of OpenClaw before to the first one after. Before each trial the pool is full, and a turn is spoken; after it,
that turn has to be on the volume.

    with notice       `openclaw-hosted machines interrupt`, in the lab a message of EC2's: the platform moves the instance while the
                      machine still answers
    without notice    the machine's processes are killed and the machine is gone, as after a power failure
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.claim import is_openclaw, poll, signed_in, wait_for_spare
from bench.harness import parser, publish, say
from bench.taking_away import Machine, Place, full_lab, processes
from openclaw_hosted.domain.naming import InstanceId

TARGETS = {"with_notice_median_seconds": 10.0, "without_notice_median_seconds": 30.0}
EVERY_SECONDS = 0.1
SETTLE_SECONDS = 3.0


@dataclass
class Asker:
    """Asks at an instance's address all the time, in a thread of its own."""

    browser: httpx.Client
    path: str
    answered: list[float] = field(default_factory=list)
    """When OpenClaw's page came."""
    _ends: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._ends.is_set():
            began = time.monotonic()
            try:
                if is_openclaw(self.browser.get(self.path)):
                    self.answered.append(time.monotonic())
            except httpx.HTTPError:
                pass
            self._ends.wait(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))

    def gap(self) -> float:
        """End, and return the longest time without an answer."""
        self._ends.set()
        assert self._thread is not None
        self._thread.join()
        return max(after - before for before, after in zip(self.answered, self.answered[1:], strict=False))


@dataclass(frozen=True)
class Bench:
    """A platform with one instance, whose user is signed in."""

    place: Place
    api: httpx.Client
    browser: httpx.Client
    instance_id: InstanceId

    def machine(self) -> Machine:
        """The one that serves it."""
        found = self.api.get("/machines", params={"search": self.instance_id}).json()["items"]
        serving = next(each for each in found if each["instance_id"] == self.instance_id and each["state"] == "assigned")
        return Machine(serving["id"], serving["provider_ref"])

    def generation(self) -> int:
        """0 while it does not run."""
        found = self.api.get(f"/instances/{self.instance_id}").json()
        return int(found["generation"]) if found["phase"] == "running" else 0

    def trial(self, number: int, take_away: Callable[[Machine], None]) -> float:
        """The gap, in seconds."""
        wait_for_spare(self.api)
        time.sleep(SETTLE_SECONDS)
        text, before, machine = f"remember-{number}-{time.time_ns()}", self.generation(), self.machine()
        self.place.speak(self.instance_id, machine, text)
        asker = Asker(self.browser, f"/{self.instance_id}/")
        with self.place.undisturbed():
            asker.start()
            poll(lambda: len(asker.answered) > 5, every=0.05)
            take_away(machine)
            poll(lambda: self.generation() > before, every=0.1)
            since = time.monotonic()
            poll(lambda: asker.answered[-1] > since, every=0.05)
        gap = asker.gap()
        if not self.place.remembers(self.instance_id, self.machine(), text):
            raise SystemExit(f"What was said before trial {number} is gone.")
        return gap


def measure(place: Place, trials: int, killed: int) -> dict[str, list[float]]:
    """The gaps of both kinds, in seconds."""
    with place.platform.api() as api:
        browser = signed_in(place.platform)
        wait_for_spare(api)
        instance_id = InstanceId(api.post("/instances", json={"name": "bench"}).json()["id"])
        bench = Bench(place, api, browser, instance_id)
        poll(lambda: bench.generation() > 0, every=0.1)
        gaps: dict[str, list[float]] = {"with notice": [], "without notice": []}
        for name, count, take_away in (("with notice", trials, place.interrupt), ("without notice", killed, place.kill)):
            for number in range(1, count + 1):
                gaps[name].append(bench.trial(number, take_away))
                say(f"{name} {number}/{count}: {gaps[name][-1]:.2f} s")
        return gaps


def rows(gaps: dict[str, list[float]]) -> Sequence[Sequence[str]]:
    """The results for people."""
    lines = [("gap in seconds", "trials", "median", "worst", "target")]
    for (name, found), target in zip(gaps.items(), TARGETS.values(), strict=True):
        if found:
            lines.append((name, f"{len(found)}", f"{statistics.median(found):.2f}", f"{max(found):.2f}", f"{target:.0f}"))
    return lines


def main() -> None:
    """Parse arguments, measure, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, default=10, help="with notice")
    arguments.add_argument("--killed", type=int, default=3, help="without notice")
    arguments.add_argument("--lab", action="store_true", help="in the full lab")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="och-") as folder, (full_lab if given.lab else processes)(Path(folder) / "data") as place:
        gaps = measure(place, given.trials, given.killed)
    publish({"targets": TARGETS, "gaps": gaps}, rows(gaps), given.json)


if __name__ == "__main__":
    main()
