"""An older system and a new one, both fake, and control loops, all in the time of the loop, which moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from openclaw_hosted.adapters.fake.access import FakeRouter
from openclaw_hosted.adapters.fake.compute import FakeGateways
from openclaw_hosted.adapters.fake.legacy import FakeLegacy, FakeOld, FakeStateCopies
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.gateway import Channel, Credential, Credentials, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.migration import Migration, MigrationState, OldService, OldSettings, OldState, Side
from openclaw_hosted.domain.shards import Shards
from openclaw_hosted.migration.flow import Flow, FlowOptions
from openclaw_hosted.migration.new_side import NewSide
from openclaw_hosted.migration.service import MigrationService
from openclaw_hosted.ports.models import KeyReport, ModelList
from openclaw_hosted.services import AccountService, InstanceService
from tests.integration.convergence.world import CAPS, World, eventually
from tests.support.passwords import QUICK_HASHER

SETTINGS = OldSettings(
    GatewaySettings(ModelProvider.ANTHROPIC, channels=frozenset({Channel.TELEGRAM})),
    {Credential.MODEL_API_KEY: "sk-of-the-user", Credential.TELEGRAM_BOT_TOKEN: "1234:bot"},
)


@dataclass
class Keys:
    """A model provider."""

    takes: bool = True

    async def try_model_key(self, _: GatewaySettings, __: Credentials) -> KeyReport:
        return KeyReport(self.takes, "It was revoked.")

    async def list_models(self, _: GatewaySettings, __: Credentials) -> ModelList:
        return ModelList(KeyReport(self.takes, ""))

    async def try_channel(self, _: Channel, __: Credentials) -> KeyReport:
        return KeyReport(ok=True, message="")


class MigrationWorld:
    """What outlives a run."""

    def __init__(self, world: World) -> None:
        self.new = world
        world.options = replace(world.options, scan_seconds=0.2, liveness_seconds=0.4, orphans_seconds=1.0, orphan_grace_seconds=2.0)
        self.old = FakeOld(world.cloud, stop_seconds=0.1, start_seconds=0.1)
        self.keys = Keys()
        self.options = FlowOptions(
            "2026.9.6", soak_seconds=0.1, soak_poll_seconds=0.1, poll_seconds=0.05, pause_seconds=0.05, stop_seconds=1.0, revive_seconds=1.0
        )
        self.said: list[Migration] = []

    def add(self, user: str = "user-1", *said: str, **changes: Any) -> None:
        service = OldService(
            user, f"arn:{user}", f"{user}@example.com", secret=f"openclaw/{user}", state=OldState(f"fs-1:/{user}"), route=f"rule/{user}",
            path=f"/{user}", version="2026.8.1",
        )  # fmt: skip
        self.old.add(replace(service, **changes), SETTINGS, said or ("hello",))

    def service(self) -> MigrationService:
        store, cloud, clock, ids = self.new.store, self.new.cloud, self.new.clock, SystemIds()
        ports = self.new.ports()
        gateways, router = FakeGateways(cloud), FakeRouter(cloud)
        instances = InstanceService(
            store.instances, store.machines, gateways, router, ports.sealer, store.hints, clock, ids, CAPS, Shards()
        )
        accounts = AccountService(store.accounts, store.platform, ports.gate, clock, ids, QUICK_HASHER)
        new = NewSide(
            accounts, instances, store.instances, store.machines, gateways, router, self.keys, clock, ids, 10,
            poll_seconds=0.05, patience_seconds=10.0,
        )  # fmt: skip
        flow = Flow(FakeLegacy(self.old), FakeStateCopies(self.old), new, store.migrations, clock, self.options)
        return MigrationService(flow, store.platform, Deployment(), 2, "2026.9.6")

    async def run(self, *users: str, most: int | None = None) -> None:
        await self.service().run(self.said.append, users=users, most=most)

    async def rollback(self, user: str = "user-1") -> Migration:
        return await self.service().rollback(user, self.said.append)

    async def row(self, user: str = "user-1") -> Migration:
        row = await self.new.store.migrations.get(user)
        assert row is not None
        return row

    async def state(self, user: str = "user-1") -> MigrationState:
        return (await self.row(user)).state

    async def serves_from(self, side: Side, user: str = "user-1", *lines: str) -> None:
        """One side serves the user, with all that was said, and nothing else of theirs is left."""
        self.old.check_exclusive()
        service, row = self.old.users[user], await self.row(user)
        taker = self.old.say(user, "and now?")
        expected = [*lines, "and now?"]
        if side is Side.OLD:
            assert taker == "old"
            assert self.old.states[service.service.state.place] == expected
            assert (service.desired, service.route) == (1, "old")
        else:
            assert taker == row.instance_id
            machine = self.old.machine_of(row.instance_id) if row.instance_id else None
            assert machine is not None
            assert machine.spec is not None
            assert self.old.installed[machine.spec.volume_id][1] == expected
            assert machine.spec.settings == SETTINGS.settings
            assert (service.desired, service.running) == (0, 0)
        live = [each for each in await self.new.store.instances.list_all() if each.phase is not Phase.DELETED]
        assert [each.id for each in live] == ([] if side is Side.OLD else [row.instance_id])
        await eventually(self.new.is_clean, lambda: "something was left over")


__all__ = ["SETTINGS", "Keys", "MigrationWorld"]
