"""The emulated account: what all services share, and what the lab keeps beside moto's state."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import RLock, Thread
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.elbv2.models import elbv2_backends
from moto.logs.models import logs_backends

from lab.cloud.access import Access
from lab.cloud.alarms import Metrics
from lab.cloud.calls import Call, Calls
from lab.cloud.ecr import Registry
from lab.cloud.ecs import Posts
from lab.cloud.faults import Faults
from lab.cloud.fleet import Fleet
from lab.cloud.latency import Delays, Latencies
from lab.cloud.market import Quotas
from lab.cloud.propagation import Propagation
from lab.cloud.snapshots import Snapshots
from lab.cloud.ssm import Commands
from lab.cloud.targets import Targets
from lab.cloud.volumes import Disks
from lab.plane.base import Balancers, Machines
from lab.plane.tasks import Tasks

Clock = Callable[[], float]
"""Seconds since the epoch."""


class Account:
    """One account in one region. `lock` guards moto's state and the lab's; nothing that blocks is called with it held."""

    def __init__(
        self,
        *,
        region: str = "us-west-2",
        machines: Machines | None = None,
        latencies: Latencies | None = None,
        delays: Delays | None = None,
        faults: Faults | None = None,
        clock: Clock = time.time,
    ) -> None:
        self.region = region
        self.account_id = DEFAULT_ACCOUNT_ID
        self.machines = machines
        self.balancers: Balancers | None = None
        self.registry: Registry | None = None
        self.tasks: Tasks | None = None
        """Who runs ECS's tasks; without, they are numbers."""
        self.latencies = latencies or Latencies()
        self.delays = delays or Delays()
        self.faults = faults or Faults()
        self.clock = clock
        self.lock = RLock()
        self.calls = Calls()
        self.crashes: list[str] = []
        """Tracebacks of the lab's own failures; a test that finds one has found a fault of the lab."""
        self._threads: list[Thread] = []
        self.forget()

    def forget(self) -> None:
        """Begin anew with what the lab keeps beside moto's state."""
        self.fleet = Fleet()
        self.commands = Commands()
        self.targets = Targets()
        self.posts = Posts()
        self.rules: dict[str, Propagation] = {}
        """Of each listener, by its ARN."""
        self.disks = Disks()
        self.metrics = Metrics()
        self.access = Access()
        self.snapshots = Snapshots()
        self.quotas = Quotas()
        self.shortages: dict[tuple[str, str], float] = {}
        """Until when there is no machine to be had, by zone and market; see `run_dry`."""
        self.calls.clear()
        self.crashes.clear()

    @property
    def ec2(self) -> Any:
        """Moto's EC2."""
        return ec2_backends[self.account_id][self.region]

    @property
    def elbv2(self) -> Any:
        """Moto's ELBv2."""
        return elbv2_backends[self.account_id][self.region]

    @property
    def ecr(self) -> Any:
        """Moto's ECR."""
        return ecr_backends[self.account_id][self.region]

    @property
    def logs(self) -> Any:
        """Moto's CloudWatch Logs."""
        return logs_backends[self.account_id][self.region]

    @property
    def cloudwatch(self) -> Any:
        """Moto's CloudWatch."""
        return cloudwatch_backends[self.account_id][self.region]

    def run_dry(self, zone: str, seconds: float, market: str = "spot") -> None:
        """Have a zone without any capacity for a while, whatever the type of machine."""
        self.shortages[zone, market] = self.clock() + seconds

    def admit(self, call: Call) -> None:
        """Find out who calls, and whether they may. Raises `Refused`."""
        self.access.admit(self, call)

    def background(self, work: Callable[[], None]) -> None:
        """Do something that blocks beside the call that asks for it."""
        thread = Thread(target=work, daemon=True)
        with self.lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
        thread.start()

    def settle(self, seconds: float = 30.0) -> None:
        """Wait for what goes on in the background to end. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise TimeoutError(f"{thread.name} still works after {seconds} s")
