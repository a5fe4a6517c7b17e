"""Users of an older system, who are moved here by an operator amid bad days, and some back again.

The operator's command is a process of its own: its calls are befallen as all others are, it is killed over some, and started again. After
each call of anybody: never two gateways on one user's state, nor for one bot. In the end each user is on exactly one side, which has all
that they ever said and were answered.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any, Final

from openclaw_hosted.adapters.fake.legacy import FakeLegacy, FakeOld, FakeStateCopies
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.errors import NotFound, OpenClawHostedError
from openclaw_hosted.domain.gateway import Channel, Credential, Credentials, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState
from openclaw_hosted.domain.migration import Migration, MigrationState, OldService, OldSettings, OldState, Side
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.migration.flow import Flow, FlowOptions
from openclaw_hosted.migration.new_side import NewSide
from openclaw_hosted.migration.service import MigrationService
from openclaw_hosted.ports.models import KeyReport
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.services.instances import InstanceService
from openclaw_hosted.store.instances import SqlInstances
from openclaw_hosted.store.machines import SqlMachines
from openclaw_hosted.store.migrants import SqlMigrations
from openclaw_hosted.store.platform import SqlPlatform
from simulation.ids import CLEAR, SeededIds
from simulation.invariants import Violation
from simulation.link import Link, Wire, run_now
from simulation.loop import PROCESS, Process
from simulation.people import People, acting
from simulation.plane import PlaneHints
from simulation.world import FLEET_CAP, World

NUMBER: Final = 90
"""Of the operator's process."""
BOUNDLESS: Final = Caps(1000, 1000)
OPTIONS: Final = FlowOptions(
    "2026.9.6", soak_seconds=8, soak_poll_seconds=2, poll_seconds=1, pause_seconds=3, stop_seconds=40, revive_seconds=60
)
"""What answers late has had its effect before it is asked for again."""
PATIENCE_SECONDS: Final = 90.0
FIRST_SECONDS, LAST_SECONDS = 15.0, 90.0
"""When an operator begins."""
AGAIN_SECONDS: Final = 7.0
SAYS_EVERY_SECONDS: Final = 5.0
MATTER: Final = ("legacy", "copies", "gateways.start", "gateways.apply", "gateways.restart", "gateways.revive", "vault.put")
"""The calls after which a gateway may be where none was."""
WENT_AWAY: Final = 3.0
"""How long an operator takes to start a command again that was killed."""


class Keys:
    """Model providers who take every key."""

    async def try_model_key(self, _: GatewaySettings, __: Credentials) -> KeyReport:
        """It is taken."""
        return KeyReport(ok=True, message="")


class Accounts:
    """Those that are there already."""

    def __init__(self, users: list[User]) -> None:
        self._users = {user.email: user for user in users}

    async def user_by_email(self, email: str) -> User:
        """The one with this address."""
        if email not in self._users:
            raise NotFound(email)
        return self._users[email]


class OldWorld:
    """The older system beside a world, its users, and the operator who moves them."""

    def __init__(self, world: World, people: People) -> None:
        self.old = FakeOld(world.cloud, stop_seconds=4, start_seconds=0.5)
        self._world = world
        self._people = people
        self._random = random.Random(f"{world.plan.seed} migration")  # noqa: S311 - it has to be repeated
        self._ids = SeededIds(world.plan.seed + 7_000_000)
        self._said: dict[str, list[str]] = {}
        self._task: asyncio.Task[Any] | None = None
        self._link: Link | None = None
        self._back: set[str] = set()
        """Whom the operator takes back once."""
        self._asked_back: set[str] = set()
        self.is_over = False
        for user in people.users:
            self._add(user)
        self._back.add(self._random.choice(sorted(self.old.users)))

    def begin(self) -> None:
        """Have users talk, and the operator begin when it is time."""
        world = self._world
        world.every(SAYS_EVERY_SECONDS, self._say)
        world.later(self._random.uniform(FIRST_SECONDS, LAST_SECONDS), lambda: world.spawn(self._operate()))

    def check(self, call: str) -> None:
        """Raise `Violation` where a call left two gateways on one user's state, or speaking for one bot."""
        if not call.startswith(MATTER):
            return
        try:
            self.old.check_exclusive()
        except AssertionError as error:
            raise Violation(12, str(error)) from None

    def not_yet(self) -> Iterator[str]:
        """Who is not where they should be in the end."""
        rows = {row.user: row for row in self._rows()}
        for user in sorted(self.old.users):
            row = rows.get(user)
            wanted = MigrationState.ROLLED_BACK if user in self._back else MigrationState.DONE
            if row is None or row.state is not wanted:
                yield f"{user} is {row.state if row else 'not begun'}, and should be {wanted}: {row.trouble if row else ''}"

    def moved_user(self, instance_id: InstanceId) -> User | None:
        """Who is served by this instance since a move."""
        row = next((row for row in self._rows() if row.instance_id == instance_id and row.side is Side.NEW), None)
        return None if row is None else next(user for user in self._people.users if user.id == row.owner_id)

    def settle(self) -> None:
        """Each user is on the side that their row says, and it has all that they said. Raises `Violation`."""
        for row in self._rows():
            service = self.old.users[row.user]
            is_new = row.side is Side.NEW
            taker = self.old.say(row.user, "and now?")
            if taker != (row.instance_id if is_new else "old"):
                raise Violation(12, f"{row.user} is served by {taker}, and the row says {row.side}")
            if (service.desired > 0) is is_new:
                raise Violation(12, f"the old service of {row.user} is to have {service.desired} tasks, and {row.side} serves")
            if (held := self._held(row)) != [*self._said[row.user], "and now?"]:
                raise Violation(12, f"{row.user} said {len(self._said[row.user])} lines, and {len(held) - 1} are there")
            self._said[row.user].append("and now?")

    async def leave(self) -> None:
        """End it: the operator stops, and what was made for users is deleted as they do it."""
        self.is_over = True
        self._stop()
        owners = {user.id: user for user in self._people.users}
        for row in self._rows():
            instance = self._world.rows.instances.get(row.instance_id) if row.instance_id else None
            if instance is not None and instance.desired is DesiredState.RUNNING:
                await self._people.ask(lambda at, it=instance: at.instances.delete(acting(owners[it.owner_id]), it.id))  # type: ignore[misc]

    def _add(self, user: User) -> None:
        name = f"old-{user.id.removeprefix('us-')}"
        service = OldService(
            name, f"arn:{name}", user.email, secret=f"openclaw/{name}", state=OldState(f"fs-1:/{name}"), route=f"rule/{name}",
            path=f"/{name}", version="2026.8.1",
        )  # fmt: skip
        settings = GatewaySettings(ModelProvider.ANTHROPIC, channels=frozenset({Channel.TELEGRAM}))
        tokens = {Credential.MODEL_API_KEY: f"{CLEAR}key-of-{name}", Credential.TELEGRAM_BOT_TOKEN: f"{CLEAR}bot-of-{name}"}
        self._said[name] = ["hello"]
        self.old.add(service, OldSettings(settings, tokens), self._said[name])

    def _say(self) -> None:
        """Each user says something; what was taken has to be there ever after."""
        if self.is_over:
            return
        for user, said in self._said.items():
            line = f"line {len(said)}"
            if self.old.say(user, line) is not None:
                said.append(line)
        self.check("legacy")

    def _rows(self) -> list[Migration]:
        return list(run_now(SqlMigrations(self._world.database).all()))

    def _held(self, row: Migration) -> list[str]:
        if row.side is Side.OLD:
            return self.old.states[self.old.users[row.user].service.state.place]
        assert row.instance_id is not None
        machine = self.old.machine_of(row.instance_id)
        if machine is None or machine.spec is None:
            return []
        return self.old.installed.get(machine.spec.volume_id, ("", []))[1]

    async def _operate(self) -> None:
        """Run the command again and again, as an operator does who sees that something is left."""
        while not self.is_over:
            self._start()
            assert self._task is not None
            await asyncio.wait({self._task})
            error = None if self._task.cancelled() else self._task.exception()
            if isinstance(error, AssertionError):
                raise Violation(12, str(error))
            if error is not None and not isinstance(error, OpenClawHostedError):
                raise Violation(9, f"the migration ended with {type(error).__name__}: {error}")
            await asyncio.sleep(WENT_AWAY if self._task.cancelled() else AGAIN_SECONDS)

    def _start(self) -> None:
        process, context = Process(NUMBER), self._world.context.copy()
        context.run(PROCESS.set, process)
        self._link = Link(self._world, NUMBER, self._stop)
        self._world.history.note("the migration goes on")
        self._task = self._world.loop.create_task(self._once(self._service(self._link)), context=context)

    def _stop(self) -> None:
        if self._link is not None and self._task is not None and not self._task.done():
            self._link.is_alive = False
            self._task.cancel()

    async def _once(self, service: MigrationService) -> None:
        await service.run(lambda _: None)
        for user in sorted(self._back):
            row = next((row for row in await service.status() if row.user == user), None)
            if row is not None and row.state in (MigrationState.DONE, MigrationState.ROLLING_BACK):
                await service.rollback(user, lambda _: None)

    def _service(self, link: Link) -> MigrationService:
        world = self._world
        hints = PlaneHints(link, lambda topic: world.pass_on(NUMBER, topic))
        database, targets = world.database, world.targets

        def wired(name: str, target: object) -> Any:
            return Wire(link, name, target)

        instances, machines = wired("instance_store", SqlInstances(database, hints)), wired("machine_store", SqlMachines(database, hints))
        gateways, router = wired("gateways", targets["gateways"]), wired("router", targets["router"])
        users: Any = Accounts(self._people.users)
        asking = InstanceService(
            instances, machines, gateways, router, wired("sealer", targets["sealer"]), hints, world.clock, self._ids, BOUNDLESS,
            world.options.shards,
        )  # fmt: skip
        new = NewSide(
            users, asking, instances, machines, gateways, router, Keys(), world.clock, self._ids, FLEET_CAP,  # type: ignore[arg-type]
            poll_seconds=1.0, patience_seconds=PATIENCE_SECONDS,
        )  # fmt: skip
        flow = Flow(
            wired("legacy", FakeLegacy(self.old)), wired("copies", FakeStateCopies(self.old)), new,
            wired("migration_store", SqlMigrations(database)), world.clock, OPTIONS,
        )  # fmt: skip
        return MigrationService(flow, wired("platform_store", SqlPlatform(database, hints)), Deployment(), 2, "2026.9.6")
