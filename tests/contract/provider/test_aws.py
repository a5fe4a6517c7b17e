"""The AWS provider in the fast lab, held against the contracts of its ports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from threading import Event

import httpx
import pytest

from lab.cloud.latency import Delays
from lab.plain import PlainLab, plain_lab
from lab.plane.base import CommandResult
from lab.plane.plain_volumes import PlainVolume
from lab.site import Plan
from openclaw_hosted.adapters.aws import notices
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.ports.router import Target
from openclaw_hosted.server import WebPlace, serving
from tests.contract.provider.gateways import GatewaysContract, RestartContract, until_ready
from tests.contract.provider.harness import eventually, launch_spec, launched, ready_to_start
from tests.contract.provider.machines import MachinesContract
from tests.contract.provider.notices import NoticesContract
from tests.contract.provider.restore_points import RestorePointsContract
from tests.contract.provider.router_suite import RouterContract
from tests.contract.provider.vault import VaultContract
from tests.contract.provider.volumes import VolumesContract
from tests.support.aws import provided_on
from tests.support.clock import HURRY, HurriedClock
from tests.support.edge import Gateway
from tests.support.seats import seat
from tests.support.waiting import PATIENCE_SECONDS, until

ONE_ZONE = Plan(zones=("us-west-2a",))


class AwsHarness:
    """The provider of one control plane on a clean account."""

    image = "lab"
    checks_owner = False

    def __init__(self, lab: PlainLab, provided: Provided, stack: AsyncExitStack) -> None:
        self.lab = lab
        self._stack = stack
        self.clock, self.ids = HurriedClock(), SystemIds()
        self.machines, self.gateways, self.volumes = provided.machines, provided.gateways, provided.volumes
        self.vault, self.router, self.gate = provided.vault, provided.router, provided.gate
        self.points = provided.points
        assert provided.notices is not None
        self.notices = provided.notices
        self._sqs = lab.site.client("sqs")

    async def write(self, volume_id: VolumeId, number: int) -> None:
        (self._disk(volume_id).folder / "number").write_text(str(number))

    async def written(self, volume_id: VolumeId) -> int:
        return int((self._disk(volume_id).folder / "number").read_text())

    def _disk(self, volume_id: VolumeId) -> PlainVolume:
        wanted = [{"Name": "tag:VolumeId", "Values": [volume_id]}]
        (found,) = self.lab.site.client("ec2").describe_volumes(Filters=wanted)["Volumes"]
        return self.lab.machines.volumes.get(found["VolumeId"])

    async def interrupt(self, provider_ref: str) -> None:
        await asyncio.to_thread(self.lab.cloud.interrupt, provider_ref)

    async def recommend(self, provider_ref: str) -> None:
        await asyncio.to_thread(self.lab.cloud.rebalance, provider_ref)

    async def put_nonsense(self) -> None:
        for body in ("nonsense", "{}", "[" * 10_000, json.dumps({"source": "aws.ec2", "detail": {"instance-id": ["i-1"]}})):
            await asyncio.to_thread(self._sqs.send_message, QueueUrl=self.lab.site.notices_queue, MessageBody=body)

    async def come_again(self, receipts: list[str]) -> None:
        """SQS hands out again what was not deleted, once the time is over for which it was hidden."""
        queue = self.lab.site.notices_queue
        for receipt in receipts:
            await asyncio.to_thread(self._sqs.change_message_visibility, QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)

    async def time_passes(self) -> None:
        await asyncio.sleep(0.02)

    async def break_machine(self, provider_ref: str) -> None:
        await asyncio.to_thread(self.lab.site.client("ec2").stop_instances, InstanceIds=[provider_ref])

    async def target(self, *, answers: bool = True) -> Target:
        """A machine; if it is to answer, with something on it that tells what reached it."""
        spec = launch_spec(self)
        ref = await launched(self, spec)
        address = next(m.address for m in await self.machines.observe() if m.provider_ref == ref)
        assert address is not None
        host, _, port = address.partition(":")
        if answers:
            place = WebPlace(host=host, port=int(port))
            await self._stack.enter_async_context(serving(Gateway(int(port), spec.machine_id), place))
        return Target(spec.machine_id, ref, address)

    def session(self, user: UserId, expires_at: float) -> Session:
        return Session(self.ids.token(), user, self.clock.now(), expires_at)

    async def reached(self, instance_id: InstanceId, session: Session | None = None) -> MachineId | None:
        """Through the load balancer, which asks nobody for a session."""
        del session
        await asyncio.to_thread(self.lab.site.addresses)  # the load balancers read their rules anew
        async with httpx.AsyncClient() as client:
            answer = await client.get(self.router.public_url(instance_id))
        return MachineId(json.loads(answer.headers["x-seen"])["machine"]) if "x-seen" in answer.headers else None


@pytest.fixture(scope="module")
def lab() -> Iterator[PlainLab]:
    with plain_lab(ONE_ZONE, delays=Delays(remembered_seconds=0.0)) as made:
        yield made


@pytest.fixture
async def harness(lab: PlainLab) -> AsyncIterator[AwsHarness]:
    """Machines are on demand, for AWS starts no stopped Spot machine again."""
    async with provided_on(lab.site, ON_DEMAND_SPARES="true") as provided, AsyncExitStack() as stack:
        made = AwsHarness(lab, provided, stack)
        yield made
        await clear(made)


async def clear(harness: AwsHarness) -> None:
    """Take everything away that a test left."""
    for route in await harness.router.list():
        await harness.router.release(route.instance_id)
    for machine in await harness.machines.observe():
        await harness.machines.terminate(machine.provider_ref)

    async def no_machine() -> bool:
        return not await harness.machines.observe()

    await until(no_machine)
    for machine_id in await harness.router.machines():
        await harness.router.forget(machine_id)
    for instance_id in await harness.vault.list():
        await harness.vault.purge(instance_id)
    for point in await harness.points.list():
        await harness.points.remove(point.point_id)
    for volume in await harness.volumes.list():
        await harness.volumes.purge(volume.volume_id, volume.instance_id or InstanceId(volume.volume_id))


class TestAwsMachines(MachinesContract):
    pass


class TestAwsNotices(NoticesContract):
    @pytest.fixture
    async def harness(self, lab: PlainLab, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AwsHarness]:
        """Machines are Spot: AWS interrupts no others."""
        monkeypatch.setattr(notices, "WAIT_SECONDS", 1)
        async with provided_on(lab.site) as provided, AsyncExitStack() as stack:
            made = AwsHarness(lab, provided, stack)
            yield made
            await clear(made)


class TestAwsVolumes(VolumesContract):
    pass


class TestAwsRestorePoints(RestorePointsContract):
    pass


class TestAwsVault(VaultContract):
    pass


class TestAwsGateways(GatewaysContract, RestartContract):
    async def test_one_that_is_back_and_seen_before_its_restart_is_reported_serves(
        self, harness: AwsHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SSM tells the end of a command seconds later, and liveness looks all the while."""
        ref, spec = await ready_to_start(harness)
        await harness.gateways.start(seat(ref, spec), spec)
        await until_ready(harness, seat(ref, spec))
        before, ran, reported = await harness.gateways.status(seat(ref, spec)), Event(), Event()
        machines = harness.lab.machines
        run = machines.run

        def reported_late(instance_id: str, script: str, timeout_seconds: float) -> CommandResult:
            result = run(instance_id, script, timeout_seconds)
            ran.set()
            assert reported.wait(PATIENCE_SECONDS)
            return result

        async def is_back() -> bool:
            status = await harness.gateways.status(seat(ref, spec))
            return status.ready and status.started_at != before.started_at

        with monkeypatch.context() as patch:
            patch.setattr(machines, "run", reported_late)
            restart = asyncio.create_task(harness.gateways.restart(seat(ref, spec)))
            assert await asyncio.to_thread(ran.wait, PATIENCE_SECONDS)
            await eventually(harness, is_back)
            reported.set()
            await restart
        await eventually(harness, is_back)


class TestAwsRouter(RouterContract):
    async def test_a_load_balancer_may_take_twenty_seconds_to_do_as_its_rule_says(
        self, harness: AwsHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone, next_one = await harness.target(answers=False), await harness.target()
        instance_id, owner_id = harness.ids.instance_id(), UserId("u-owner")
        await harness.router.bind(instance_id, gone, owner_id, 1)
        delays = harness.lab.cloud.delays
        monkeypatch.setattr(delays, "rule_seconds", (20.0 / HURRY, 20.0 / HURRY))
        await harness.router.bind(instance_id, next_one, owner_id, 2)
        await harness.router.probe(instance_id, next_one)
        assert await harness.reached(instance_id) == next_one.machine_id
