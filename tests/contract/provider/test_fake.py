"""The fake provider, held against the contracts: what it lets through, the real ones let through."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeMachine
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.notices import FakeNotices
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import Denied
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.ports.machines import MachineHealth
from openclaw_hosted.ports.router import Target
from tests.contract.provider.gateways import GatewaysContract, RestartContract
from tests.contract.provider.machines import MachinesContract
from tests.contract.provider.notices import NoticesContract
from tests.contract.provider.restore_points import RestorePointsContract
from tests.contract.provider.router_suite import GateContract, RouterContract
from tests.contract.provider.vault import VaultContract
from tests.contract.provider.volumes import VolumesContract


class FakeHarness:
    """The fake, as a provider and as an edge."""

    image = "v1"
    checks_owner = True

    def __init__(self) -> None:
        self.clock, self.ids = SystemClock(), SystemIds()
        self.cloud = FakeCloud(self.clock)
        self.machines, self.gateways, self.volumes = FakeMachines(self.cloud), FakeGateways(self.cloud), FakeVolumes(self.cloud)
        self.vault, self.router, self.gate = FakeVault(self.cloud), FakeRouter(self.cloud), FakeGate(self.cloud)
        self.notices, self.points = FakeNotices(self.cloud), FakeRestorePoints(self.cloud)

    async def write(self, volume_id: VolumeId, number: int) -> None:
        self.cloud.volumes[volume_id].written = number

    async def written(self, volume_id: VolumeId) -> int:
        return self.cloud.volumes[volume_id].written

    async def interrupt(self, provider_ref: str) -> None:
        self.cloud.give_notice(NoticeKind.INTERRUPTION, provider_ref)

    async def recommend(self, provider_ref: str) -> None:
        self.cloud.give_notice(NoticeKind.REBALANCE, provider_ref)

    async def put_nonsense(self) -> None:
        self.cloud.notices["nonsense"] = None

    async def come_again(self, receipts: list[str]) -> None:
        """At once, here."""

    async def time_passes(self) -> None:
        await asyncio.sleep(0)

    async def break_machine(self, provider_ref: str) -> None:
        self.cloud.machine(provider_ref).health = MachineHealth.STOPPED

    async def target(self, *, answers: bool = True) -> Target:
        machine = FakeMachine(self.ids.machine_id(), self.clock.now())
        if answers:
            machine.spec = GatewaySpec(self.ids.instance_id(), 0, self.ids.volume_id(), self.image)
        self.cloud.machines[machine.machine_id] = machine
        return Target(machine.machine_id, machine.machine_id, machine.address)

    def session(self, user: UserId, expires_at: float) -> Session:
        return Session(self.ids.token(), user, self.clock.now(), expires_at)

    async def reached(self, instance_id: InstanceId, session: Session | None = None) -> MachineId | None:
        return self.cloud.reached(instance_id, session.hash if session else None)


@pytest.fixture
def harness() -> FakeHarness:
    return FakeHarness()


class TestFakeMachines(MachinesContract):
    pass


class TestFakeVolumes(VolumesContract):
    pass


class TestFakeRestorePoints(RestorePointsContract):
    pass


class TestFakeVault(VaultContract):
    pass


class TestFakeGateways(GatewaysContract, RestartContract):
    pass


class TestFakeNotices(NoticesContract):
    pass


class TestFakeRouter(RouterContract):
    pass


class TestFakeGate(GateContract):
    pass


def test_what_is_sealed_opens_in_its_own_context_only() -> None:
    sealer = FakeSealer()
    sealed = sealer.seal(b"key", "oc-1")
    assert sealer.unseal(sealed, "oc-1") == b"key"
    with pytest.raises(Denied):
        sealer.unseal(sealed, "oc-2")
