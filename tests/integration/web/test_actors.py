"""Each use case knows who asks, whether they may, and says so in its events."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import httpx
import pytest

from openclaw_hosted.adapters.fake.cloud import FakePoint
from openclaw_hosted.domain.account import LinkPurpose, Role, Session, User
from openclaw_hosted.domain.actor import SETUP, Actor, Party, Via
from openclaw_hosted.domain.errors import InvalidInput, NotAllowed, NotFound
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Channel, Credential, CredentialsChange, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import DesiredState, Phase
from openclaw_hosted.domain.listing import EventSearch, InstanceSearch, MachineSearch, UserSearch
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId, RestorePointId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.domain.webhook import WebhookId
from openclaw_hosted.services import Services
from openclaw_hosted.services.accounts import digest
from openclaw_hosted.services.console import Range
from openclaw_hosted.services.instances import ChangeRequest, CreateRequest
from openclaw_hosted.services.several import Action
from openclaw_hosted.web import LocalDoor
from tests.integration.web.conftest import ORIGIN, PASSWORD, SECRET_KEY, World, a_sender
from tests.support.actors import STRANGER, acting

ORPHAN = "volume vol-22222222"
CLOSED = "http://127.0.0.1:1/"
"""Where nobody takes a connection."""
WISH = CreateRequest("Mine", DEFAULT_SETTINGS, CredentialsChange())
FINDS_OUT_WHO_ASKS = {
    "accounts.authenticate", "accounts.first_admin", "accounts.is_new", "accounts.needs_setup", "accounts.peek_link", "accounts.session",
    "accounts.user_by_email", "accounts.user_by_token",
}  # fmt: skip
ABOUT_NOBODY = {"instances.usual_waits", "instances.wait_for_change"}


class For(Enum):
    """Whom a use case serves."""

    ADMINS = "admins"
    OWNER = "the owner of the instance or session that it is about"
    ONESELF = "any account, about itself"
    ANYBODY = "whoever proves something"


@dataclass
class Stage:
    """A platform on which every use case can be tried."""

    world: World
    admin: User
    ada: User
    bob: User
    running: InstanceId
    deleted: InstanceId
    pending: InstanceId
    spare: MachineId
    session: Session
    token_id: str
    reset: str
    webhook: WebhookId
    invitation: str

    @property
    def kit(self) -> Services:
        return self.world.kit


POINT = RestorePointId("rp-22222222")


async def an_archive() -> AsyncIterator[bytes]:
    yield b'{"written": 1}'


@dataclass(frozen=True)
class UseCase:
    """How it is asked, whom it serves, and the event that it causes, if it changes anything."""

    ask: Callable[[Stage, Actor], Awaitable[Any]]
    serves: For
    event: EventName | None = None


USE_CASES = {
    "instances.create": UseCase(lambda s, a: s.kit.instances.create(a, WISH), For.ONESELF, EventName.INSTANCE_CREATED),
    "instances.get": UseCase(lambda s, a: s.kit.instances.get(a, s.running), For.OWNER),
    "instances.list": UseCase(lambda s, a: s.kit.instances.list(a), For.ONESELF),
    "instances.page": UseCase(lambda s, a: s.kit.instances.page(a, 10), For.ADMINS),
    "history.of": UseCase(lambda s, a: s.kit.history.of(a, s.running), For.OWNER),
    "history.news": UseCase(lambda s, a: s.kit.history.news(a, []), For.ONESELF),
    "instances.list_purged": UseCase(lambda s, a: s.kit.instances.list_purged(a), For.ONESELF),
    "restore_points.list": UseCase(lambda s, a: s.kit.restore_points.list(a, s.running), For.OWNER),
    "restore_points.ask": UseCase(lambda s, a: s.kit.restore_points.ask(a, s.running), For.OWNER, EventName.RESTORE_POINT_ASKED),
    "restore_points.rewind": UseCase(
        lambda s, a: s.kit.restore_points.rewind(a, s.running, POINT), For.OWNER, EventName.INSTANCE_REWIND_ASKED
    ),
    "restore_points.remove": UseCase(
        lambda s, a: s.kit.restore_points.remove(a, s.running, POINT), For.OWNER, EventName.RESTORE_POINT_REMOVE_ASKED
    ),
    "restore_points.usable": UseCase(lambda s, a: s.kit.restore_points.usable(a, POINT), For.OWNER),
    "restore_points.download": UseCase(lambda s, a: s.kit.restore_points.download(a, s.running, POINT), For.OWNER, EventName.ARCHIVE_TAKEN),
    "restore_points.bring": UseCase(lambda s, a: s.kit.restore_points.bring(a, an_archive()), For.ONESELF, EventName.ARCHIVE_BROUGHT),
    "instances.steps": UseCase(lambda s, a: s.kit.instances.steps(a, s.running), For.OWNER),
    "instances.departure": UseCase(lambda s, a: s.kit.instances.departure(a, s.running), For.OWNER),
    "instances.usage": UseCase(lambda s, a: s.kit.instances.usage(a, s.running), For.OWNER),
    "instances.logs": UseCase(lambda s, a: s.kit.instances.logs(a, s.running), For.OWNER),
    "instances.change": UseCase(
        lambda s, a: s.kit.instances.change(a, s.running, ChangeRequest("Other")), For.OWNER, EventName.INSTANCE_CHANGED
    ),
    "instances.restart": UseCase(lambda s, a: s.kit.instances.restart(a, s.running), For.OWNER, EventName.INSTANCE_RESTART_ASKED),
    "instances.delete": UseCase(lambda s, a: s.kit.instances.delete(a, s.running), For.OWNER, EventName.INSTANCE_DELETE_ASKED),
    "instances.restore": UseCase(lambda s, a: s.kit.instances.restore(a, s.deleted), For.OWNER, EventName.INSTANCE_RESTORED),
    "opening.open": UseCase(lambda s, a: s.kit.opening.open(a, s.session, s.running), For.OWNER, EventName.INSTANCE_OPENED),
    "opening.open_link": UseCase(lambda s, a: s.kit.opening.open_link(a, s.running), For.OWNER, EventName.INSTANCE_OPENED),
    "opening.redeem": UseCase(lambda s, a: s.kit.opening.redeem(a, s.session, s.running), For.OWNER),
    "senders.waiting": UseCase(lambda s, a: s.kit.senders.waiting(a, s.running), For.OWNER),
    "senders.approve": UseCase(lambda s, a: s.kit.senders.approve(a, s.running, "r1"), For.OWNER, EventName.INSTANCE_SENDER_APPROVED),
    "senders.dismiss": UseCase(lambda s, a: s.kit.senders.dismiss(a, s.running, "r1"), For.OWNER, EventName.INSTANCE_SENDER_DISMISSED),
    "accounts.setup_link": UseCase(lambda s, a: s.kit.accounts.setup_link(a), For.ADMINS, EventName.SETUP_LINK_MADE),
    "accounts.create_user": UseCase(
        lambda s, a: s.kit.accounts.create_user(a, "new@example.com", PASSWORD), For.ADMINS, EventName.USER_JOINED
    ),
    "accounts.invite": UseCase(lambda s, a: s.kit.accounts.invite(a, "new@example.com"), For.ADMINS, EventName.USER_INVITED),
    "accounts.invitations": UseCase(lambda s, a: s.kit.accounts.invitations(a), For.ADMINS),
    "accounts.revoke_invitation": UseCase(
        lambda s, a: s.kit.accounts.revoke_invitation(a, s.invitation), For.ADMINS, EventName.INVITATION_REVOKED
    ),
    "accounts.reset_link": UseCase(lambda s, a: s.kit.accounts.reset_link(a, s.ada.id), For.ADMINS, EventName.USER_PASSWORD_RESET),
    "accounts.set_disabled": UseCase(
        lambda s, a: s.kit.accounts.set_disabled(a, s.bob.id, disabled=True), For.ADMINS, EventName.USER_DISABLED
    ),
    "accounts.set_role": UseCase(lambda s, a: s.kit.accounts.set_role(a, s.bob.id, Role.ADMIN), For.ADMINS, EventName.USER_ROLE_CHANGED),
    "accounts.users": UseCase(lambda s, a: s.kit.accounts.users(a), For.ADMINS),
    "accounts.emails": UseCase(lambda s, a: s.kit.accounts.emails(a), For.ADMINS),
    "accounts.follow_link": UseCase(
        lambda s, a: s.kit.accounts.follow_link(a, LinkPurpose.PASSWORD_RESET, s.reset, PASSWORD),
        For.ANYBODY,
        EventName.USER_PASSWORD_CHANGED,
    ),
    "accounts.sign_in": UseCase(lambda s, a: s.kit.accounts.sign_in(a, s.ada.email, PASSWORD), For.ANYBODY, EventName.USER_SIGNED_IN),
    "accounts.start_session": UseCase(lambda s, a: s.kit.accounts.start_session(a, s.ada), For.ANYBODY, EventName.USER_SIGNED_IN),
    "accounts.me": UseCase(lambda s, a: s.kit.accounts.me(a), For.ONESELF),
    "accounts.confirm": UseCase(lambda s, a: s.kit.accounts.confirm(a, s.session, PASSWORD), For.OWNER, EventName.USER_CONFIRMED),
    "accounts.change_password": UseCase(
        lambda s, a: s.kit.accounts.change_password(a, PASSWORD, "quite another one"), For.ONESELF, EventName.USER_PASSWORD_CHANGED
    ),
    "accounts.sessions": UseCase(lambda s, a: s.kit.accounts.sessions(a), For.ONESELF),
    "accounts.end_session": UseCase(lambda s, a: s.kit.accounts.end_session(a, s.session), For.OWNER, EventName.SESSION_ENDED),
    "accounts.tokens": UseCase(lambda s, a: s.kit.accounts.tokens(a), For.ONESELF),
    "accounts.create_token": UseCase(lambda s, a: s.kit.accounts.create_token(a, "Laptop"), For.ONESELF, EventName.TOKEN_CREATED),
    "accounts.revoke_token": UseCase(lambda s, a: s.kit.accounts.revoke_token(a, s.token_id), For.OWNER, EventName.TOKEN_REVOKED),
    "webhooks.list": UseCase(lambda s, a: s.kit.webhooks.list(a), For.ONESELF),
    "webhooks.create": UseCase(lambda s, a: s.kit.webhooks.create(a, CLOSED), For.ONESELF, EventName.WEBHOOK_CREATED),
    "webhooks.remove": UseCase(lambda s, a: s.kit.webhooks.remove(a, s.webhook), For.OWNER, EventName.WEBHOOK_REMOVED),
    "webhooks.enable": UseCase(lambda s, a: s.kit.webhooks.enable(a, s.webhook), For.OWNER, EventName.WEBHOOK_ENABLED),
    "webhooks.test": UseCase(lambda s, a: s.kit.webhooks.test(a, s.webhook), For.OWNER),
    "webhooks.deliveries": UseCase(lambda s, a: s.kit.webhooks.deliveries(a, s.webhook), For.OWNER),
    "operations.pool": UseCase(lambda s, a: s.kit.operations.pool(a), For.ADMINS),
    "operations.machines": UseCase(lambda s, a: s.kit.operations.machines(a), For.ADMINS),
    "operations.machine": UseCase(lambda s, a: s.kit.operations.machine(a, s.spare), For.ADMINS),
    "operations.events": UseCase(lambda s, a: s.kit.operations.events(a), For.ADMINS),
    "operations.orphans": UseCase(lambda s, a: s.kit.operations.orphans(a), For.ADMINS),
    "operations.release_orphan": UseCase(lambda s, a: s.kit.operations.release_orphan(a, ORPHAN), For.ADMINS, EventName.ORPHAN_RELEASED),
    "operations.pause_pool": UseCase(lambda s, a: s.kit.operations.pause_pool(a), For.ADMINS, EventName.POOL_PAUSED),
    "operations.resume_pool": UseCase(lambda s, a: s.kit.operations.resume_pool(a), For.ADMINS, EventName.POOL_RESUMED),
    "operations.set_spares": UseCase(lambda s, a: s.kit.operations.set_spares(a, 7), For.ADMINS, EventName.POOL_SPARES_CHANGED),
    "operations.replenish": UseCase(lambda s, a: s.kit.operations.replenish(a), For.ADMINS, EventName.POOL_REPLENISH_ASKED),
    "operations.retire_spare": UseCase(lambda s, a: s.kit.operations.retire_spare(a, s.spare), For.ADMINS, EventName.MACHINE_CONDEMNED),
    "operations.give_notice": UseCase(
        lambda s, a: s.kit.operations.give_notice(a, s.spare, NoticeKind.DRAIN), For.ADMINS, EventName.MACHINE_NOTICED
    ),
    "operations.follow_settings": UseCase(lambda s, a: s.kit.operations.follow_settings(a), For.ADMINS, EventName.POOL_SPARES_CHANGED),
    "console.overview": UseCase(lambda s, a: s.kit.console.overview(a), For.ADMINS),
    "console.series": UseCase(lambda s, a: s.kit.console.series(a, Range.DAY), For.ADMINS),
    "console.machines": UseCase(lambda s, a: s.kit.console.machines(a, MachineSearch(), 10), For.ADMINS),
    "console.instances": UseCase(lambda s, a: s.kit.console.instances(a, InstanceSearch(), 10), For.ADMINS),
    "console.users": UseCase(lambda s, a: s.kit.console.users(a, UserSearch(), 10), For.ADMINS),
    "console.events": UseCase(lambda s, a: s.kit.console.events(a, EventSearch(), 10), For.ADMINS),
    "console.machine": UseCase(lambda s, a: s.kit.console.machine(a, s.spare), For.ADMINS),
    "console.instance": UseCase(lambda s, a: s.kit.console.instance(a, s.running), For.ADMINS),
    "console.retry": UseCase(lambda s, a: s.kit.console.retry(a, s.running), For.ADMINS, EventName.INSTANCE_RESTART_ASKED),
    "several.preview": UseCase(lambda s, a: s.kit.several.preview(a, Action.HOLD, [s.pending]), For.ADMINS),
    "several.carry_out": UseCase(lambda s, a: s.kit.several.carry_out(a, Action.HOLD, [s.pending]), For.ADMINS, EventName.INSTANCE_HELD),
    "mail.state": UseCase(lambda s, a: s.kit.mail.state(a), For.ONESELF),
    "mail.change": UseCase(lambda s, a: s.kit.mail.change(a, on=True), For.ONESELF, EventName.USER_MAIL_CHANGED),
    "console.hold": UseCase(lambda s, a: s.kit.console.hold(a, s.pending), For.ADMINS, EventName.INSTANCE_HELD),
    "migrations.list": UseCase(lambda s, a: s.kit.migrations.list(a), For.ADMINS),
    "costs.report": UseCase(lambda s, a: s.kit.costs.report(a), For.ADMINS),
    "costs.usage": UseCase(lambda s, a: s.kit.costs.usage(a), For.ADMINS),
    "costs.plans": UseCase(lambda s, a: s.kit.costs.plans(a, 10), For.ADMINS),
    "diagnosis.instance": UseCase(lambda s, a: s.kit.diagnosis.instance(a, s.running), For.ADMINS),
    "diagnosis.machine": UseCase(lambda s, a: s.kit.diagnosis.machine(a, s.spare), For.ADMINS),
    "advice.week": UseCase(lambda s, a: s.kit.advice.week(a), For.ADMINS),
    "metrics.samples": UseCase(lambda s, a: s.kit.metrics.samples(a), For.ADMINS),
    "alarms.list": UseCase(lambda s, a: s.kit.alarms.list(a), For.ADMINS),
    "alarms.try_channels": UseCase(lambda s, a: s.kit.alarms.try_channels(a), For.ADMINS),
    "room.crowding": UseCase(lambda s, a: s.kit.room.crowding(a), For.ADMINS),
    "room.filled_by": UseCase(lambda s, a: s.kit.room.filled_by(a, s.running), For.OWNER),
    "keys.try_model_key": UseCase(lambda s, a: s.kit.keys.try_model_key(a, DEFAULT_SETTINGS, {}), For.ONESELF),
    "keys.list_models": UseCase(lambda s, a: s.kit.keys.list_models(a, DEFAULT_SETTINGS, {}), For.ONESELF),
    "keys.try_channel": UseCase(lambda s, a: s.kit.keys.try_channel(a, Channel.TELEGRAM, {}), For.ONESELF),
}


def methods_of(kit: Services) -> dict[str, Callable[..., Any]]:
    """What can be asked of the services, each as `service.method`."""
    return {
        f"{field.name}.{name}": method
        for field in fields(kit)
        for name, method in inspect.getmembers(type(getattr(kit, field.name)), inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


async def events_of(world: World) -> list[Event]:
    return list(await world.store.platform.events(limit=500))


@pytest.fixture
async def stage(world: World, admin: User, ada: User, bob: User) -> Stage:
    kit, actor = world.kit, acting(ada)
    running, _ = await kit.instances.create(actor, WISH)
    deleted, _ = await kit.instances.create(actor, WISH)
    pending, _ = await kit.instances.create(actor, WISH)
    await world.run(running.id)
    await world.put(deleted.id, phase=Phase.DELETED, desired=DesiredState.DELETED)
    world.edge.senders = {"r1": a_sender("r1", "Bea")}
    token, reset = await kit.accounts.create_token(actor, "first"), await kit.accounts.reset_link(SETUP, ada.id)
    invited = await kit.accounts.invite(SETUP, "invited@example.com")
    session = (await kit.accounts.sign_in(STRANGER, ada.email, PASSWORD)).session
    await world.store.accounts.arm_grant(session.hash, running.id, world.clock.now() + 60)
    await world.store.restore_points.add(RestorePoint(POINT, running.id, 1.0, Cause.ASKED, PointState.READY, 1))
    world.points._cloud.points[POINT] = FakePoint(running.id, 1, 1.0, 1.0, 1.0)
    spare = await world.add_machine(MachineState.AVAILABLE)
    await world.store.platform.set_pool(spares=5)
    await world.store.platform.keep_orphans([Orphan(ORPHAN, 1.0, OrphanState.QUARANTINED)], (), ())
    webhook = (await kit.webhooks.create(actor, CLOSED)).webhook.id
    return Stage(
        world, admin, ada, bob, running.id, deleted.id, pending.id, spare, session, digest(token)[:12], reset, webhook, digest(invited)[:12]
    )


async def test_whoever_asks_is_the_first_argument_of_every_use_case(world: World) -> None:
    methods = methods_of(world.kit)
    asked = methods.keys() - FINDS_OUT_WHO_ASKS - ABOUT_NOBODY
    assert asked == USE_CASES.keys(), "each use case stands in the table of this file"
    for name in asked:
        _, first, *_ = inspect.signature(methods[name]).parameters.values()
        assert (first.name, first.annotation) == ("actor", "Actor"), name


@pytest.mark.parametrize("name", USE_CASES)
async def test_a_use_case_that_changes_something_says_who_asked(stage: Stage, name: str) -> None:
    case, before = USE_CASES[name], await events_of(stage.world)
    asks = {For.ADMINS: acting(stage.admin), For.ANYBODY: STRANGER}.get(case.serves, acting(stage.ada))
    await case.ask(stage, asks)
    after = await events_of(stage.world)
    caused = after[: len(after) - len(before)]
    assert (case.event in {event.name for event in caused}) if case.event else caused == []
    expected = acting(stage.ada) if asks is STRANGER else asks
    assert all(event.actor == expected for event in caused)


@pytest.mark.parametrize("name", [name for name, case in USE_CASES.items() if case.serves in (For.ADMINS, For.OWNER)])
async def test_a_use_case_refuses_whoever_may_not(stage: Stage, name: str) -> None:
    case, before = USE_CASES[name], await events_of(stage.world)
    strangers = [acting(stage.bob), STRANGER, replace(STRANGER, id=Party.OPERATOR)]
    for actor in strangers:
        with pytest.raises(NotAllowed if case.serves is For.ADMINS else (NotFound, NotAllowed)):
            await case.ask(stage, actor)
    if case.serves is For.OWNER:
        with pytest.raises((NotFound, NotAllowed)):
            await case.ask(stage, acting(stage.admin))
    assert await events_of(stage.world) == before


@pytest.mark.parametrize("name", [name for name, case in USE_CASES.items() if case.serves is For.ONESELF])
async def test_who_has_no_account_owns_nothing(stage: Stage, name: str) -> None:
    before = await events_of(stage.world)
    with pytest.raises(NotAllowed):
        await USE_CASES[name].ask(stage, STRANGER)
    assert await events_of(stage.world) == before


async def test_a_wrong_password_is_told_with_the_address_that_it_came_from(world: World, ada: User) -> None:
    with pytest.raises(NotAllowed):
        await world.kit.accounts.sign_in(STRANGER, ada.email, "wrong")
    (event, *_) = await events_of(world)
    assert (event.name, event.user_id, event.actor) == (EventName.USER_SIGN_IN_FAILED, None, STRANGER)


async def test_an_invited_person_joins_by_their_own_doing(world: World, admin: User) -> None:
    secret = await world.kit.accounts.invite(acting(admin), "new@example.com")
    new = (await world.kit.accounts.follow_link(STRANGER, LinkPurpose.INVITE, secret, PASSWORD)).user
    (signed_in, joined, *_) = await events_of(world)
    assert (joined.name, joined.actor, signed_in.actor) == (EventName.USER_JOINED, acting(new), acting(new))


async def test_no_caller_takes_a_key_to_another_address(world: World, ada: User) -> None:
    instances, actor = world.kit.instances, acting(ada)
    keyed = CredentialsChange({Credential.MODEL_API_KEY: SECRET_KEY})
    at = [GatewaySettings(ModelProvider.COMPATIBLE, "m", f"http://{host}.example.com/v1") for host in ("mine", "other")]
    instance, _ = await instances.create(actor, CreateRequest("Mine", at[0], keyed))
    moved = await instances.change(actor, instance.id, ChangeRequest(settings=at[1]))
    assert Credential.MODEL_API_KEY not in moved.credential_names
    with pytest.raises(InvalidInput, match="needs a key of its own"):
        await instances.change(actor, instance.id, ChangeRequest(settings=GatewaySettings(ModelProvider.OPENAI)))


async def test_the_events_page_says_who_did_it_and_by_which_way(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as browser, world.api(ada) as api:
        assert (await api.post("/instances", json={"name": "Mine"})).status_code == 202
        assert (await browser.post("/admin/pool/pause")).status_code == 303
        await world.store.platform.add_event(Event(EventName.POOL_STATUS_CHANGED, world.clock.now()))
        await world.store.platform.add_event(Event(EventName.POOL_STATUS_CHANGED, world.clock.now(), actor=None))
        page = (await browser.get("/admin/events")).text
    rows = [" ".join(cell.split("</td>")[0].split()) for cell in page.split('<td data-label="Who">')[1:]]
    hints = [row.replace('<span class="hint">', "").replace("</span>", "").strip() for row in rows]
    assert hints[:4] == ["", "the platform", "you on a page 127.0.0.1", "ada@example.com through the API 127.0.0.1"]


async def test_the_api_of_events_says_who_did_it(world: World, admin: User) -> None:
    door = httpx.AsyncClient(transport=httpx.ASGITransport(LocalDoor(world.app)), base_url=f"{ORIGIN}/api/v1")
    async with world.api(admin) as api, door:
        assert (await api.post("/pool/pause")).status_code == 200
        assert (await door.post("/pool/resume")).status_code == 200
        resumed, paused = (await api.get("/events", params={"limit": 2})).json()["items"]
    told = {"id": admin.id, "name": admin.email, "role": Role.ADMIN}
    assert paused["actor"] == {**told, "via": Via.API, "address": "127.0.0.1"}
    assert resumed["actor"] == {**told, "via": Via.COMMAND_LINE, "address": None}
