"""What can be asked of the API, one method an operation. Written by `make client` from the API's own description; change that, and not
this file."""

from __future__ import annotations

from typing import Literal, cast
from urllib.parse import quote

from openclaw_hosted.client.models import (
    AdviceAnswer,
    AlarmList,
    ChannelTries,
    CostOut,
    DeliveryList,
    DeliveryOut,
    DiagnosisOut,
    EventList,
    HistoryOut,
    InstanceCreate,
    InstanceDetail,
    InstanceList,
    InstanceOut,
    InstancePatch,
    InviteIn,
    KeyReportOut,
    KeyTest,
    Level,
    Lines,
    Link,
    MachineList,
    MachineOut,
    MachineState,
    MailIn,
    MailOut,
    NoticeIn,
    OrphanList,
    OrphanName,
    OverviewOut,
    Phase,
    PlanList,
    PoolOut,
    PoolPatch,
    RestorePointList,
    RestorePointOut,
    RoleIn,
    RoomOut,
    SenderList,
    SeveralIn,
    SeveralOut,
    TokenCreate,
    TokenList,
    TokenMade,
    UsageOut,
    UserList,
    UserOut,
    WebhookCreate,
    WebhookList,
    WebhookOut,
    WebhookSecret,
)
from openclaw_hosted.client.requests import Requests


class Operations(Requests):
    """The operations."""

    def create_instance(self, body: InstanceCreate, *, idempotency_key: str | None = None) -> InstanceOut:
        """Ask for a new instance. The same `Idempotency-Key` with the same body answers the same instance."""
        return cast("InstanceOut", self._call("POST", "/instances", headers={"idempotency-key": idempotency_key}, body=body))

    def list_instances(
        self, *, owner: str | None = None, phase: Phase | None = None, after: str | None = None, limit: int | None = None
    ) -> InstanceList:
        """The caller's instances, or for admins those of others; deleted ones too, while they can be restored."""
        return cast("InstanceList", self._call("GET", "/instances", query={"owner": owner, "phase": phase, "after": after, "limit": limit}))

    def get_instance(self, instance_id: str) -> InstanceDetail:
        """One instance with its steps. Send its `ETag` as `If-Match` with a change, and nothing is lost that somebody else changed."""
        return cast("InstanceDetail", self._call("GET", f"/instances/{quote(instance_id, safe='')}"))

    def change_instance(self, instance_id: str, body: InstancePatch, *, if_match: str | None = None) -> InstanceOut:
        """Change name, settings, credentials or the desired state (`deleted`, and `running` to undo that)."""
        return cast(
            "InstanceOut", self._call("PATCH", f"/instances/{quote(instance_id, safe='')}", headers={"if-match": if_match}, body=body)
        )

    def delete_instance(self, instance_id: str) -> InstanceOut:
        """Delete it; `restore` undoes that until `restorable_until`."""
        return cast("InstanceOut", self._call("DELETE", f"/instances/{quote(instance_id, safe='')}"))

    def restart_instance(self, instance_id: str) -> InstanceOut:
        """Restart its OpenClaw; a failed instance is tried again."""
        return cast("InstanceOut", self._call("POST", f"/instances/{quote(instance_id, safe='')}/restart"))

    def restore_instance(self, instance_id: str) -> InstanceOut:
        """Undo a deletion: same id, same data."""
        return cast("InstanceOut", self._call("POST", f"/instances/{quote(instance_id, safe='')}/restore"))

    def open_instance(self, instance_id: str) -> Link:
        """A one-time link into the instance, for a browser in which its owner is signed in."""
        return cast("Link", self._call("POST", f"/instances/{quote(instance_id, safe='')}/open"))

    def instance_logs(
        self, instance_id: str, *, lines: int | None = None, since: str | None = None, level: Level | None = None, search: str | None = None
    ) -> Lines:
        """The newest lines of its OpenClaw's log. Their times are UTC."""
        return cast(
            "Lines",
            self._call(
                "GET",
                f"/instances/{quote(instance_id, safe='')}/logs",
                query={"lines": lines, "since": since, "level": level, "search": search},
            ),
        )

    def instance_history(self, instance_id: str, *, before_id: int | None = None, limit: int | None = None) -> EventList:
        """What happened to it, newest first."""
        return cast(
            "EventList",
            self._call("GET", f"/instances/{quote(instance_id, safe='')}/history", query={"before_id": before_id, "limit": limit}),
        )

    def try_key(self, body: KeyTest) -> KeyReportOut:
        """Try a key with its provider, without keeping it."""
        return cast("KeyReportOut", self._call("POST", "/keys/test", body=body))

    def list_senders(self, instance_id: str) -> SenderList:
        """Who waits to be approved, the oldest first. OpenClaw forgets a request after an hour."""
        return cast("SenderList", self._call("GET", f"/instances/{quote(instance_id, safe='')}/senders"))

    def approve_sender(self, instance_id: str, request_id: str) -> None:
        """Have this sender answered from now on; they are told."""
        self._call("POST", f"/instances/{quote(instance_id, safe='')}/senders/{quote(request_id, safe='')}/approve")

    def dismiss_sender(self, instance_id: str, request_id: str) -> None:
        """Drop the request; the sender may ask again."""
        self._call("POST", f"/instances/{quote(instance_id, safe='')}/senders/{quote(request_id, safe='')}/dismiss")

    def list_restore_points(self, instance_id: str) -> RestorePointList:
        """The restore points of an instance, newest first."""
        return cast("RestorePointList", self._call("GET", f"/instances/{quote(instance_id, safe='')}/restore-points"))

    def make_restore_point(self, instance_id: str) -> RestorePointOut:
        """Make one now. It is there once its state is `ready`."""
        return cast("RestorePointOut", self._call("POST", f"/instances/{quote(instance_id, safe='')}/restore-points"))

    def restore_here(self, instance_id: str, point_id: str) -> InstanceOut:
        """Have the instance be as it was then. The present state becomes a restore point first."""
        return cast(
            "InstanceOut", self._call("POST", f"/instances/{quote(instance_id, safe='')}/restore-points/{quote(point_id, safe='')}/restore")
        )

    def remove_restore_point(self, instance_id: str, point_id: str) -> None:
        """Remove one for good."""
        self._call("DELETE", f"/instances/{quote(instance_id, safe='')}/restore-points/{quote(point_id, safe='')}")

    def list_machines(
        self,
        *,
        include_terminated: bool | None = None,
        state: MachineState | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> MachineList:
        """The machines that exist, or with `include_terminated` all that are kept for the record, newest first."""
        return cast(
            "MachineList",
            self._call(
                "GET",
                "/machines",
                query={"include_terminated": include_terminated, "state": state, "search": search, "after": after, "limit": limit},
            ),
        )

    def get_machine(self, machine_id: str) -> MachineOut:
        """One machine."""
        return cast("MachineOut", self._call("GET", f"/machines/{quote(machine_id, safe='')}"))

    def retire_machine(self, machine_id: str) -> MachineOut:
        """Terminate a spare; the pool launches another."""
        return cast("MachineOut", self._call("POST", f"/machines/{quote(machine_id, safe='')}/retire"))

    def give_notice(self, machine_id: str, body: NoticeIn) -> MachineOut:
        """Have an instance moved off a machine, or a spare replaced, as if the machine were taken away."""
        return cast("MachineOut", self._call("POST", f"/machines/{quote(machine_id, safe='')}/notices", body=body))

    def list_orphans(self) -> OrphanList:
        """What exists at the provider without a row, and is kept: in doubt nothing is removed."""
        return cast("OrphanList", self._call("GET", "/orphans"))

    def remove_orphan(self, body: OrphanName) -> None:
        """Have one removed for good, with the data that it may hold."""
        self._call("POST", "/orphans/remove", body=body)

    def get_pool(self) -> PoolOut:
        """The pool now."""
        return cast("PoolOut", self._call("GET", "/pool"))

    def change_pool(self, body: PoolPatch) -> PoolOut:
        """Keep so many spares from now on, no more than the fleet's cap, or as many as the settings say."""
        return cast("PoolOut", self._call("PATCH", "/pool", body=body))

    def get_room(self) -> RoomOut:
        """Who fills the disk that volumes share, once it is nearly full. Looked at once a minute at most."""
        return cast("RoomOut", self._call("GET", "/room"))

    def pause_pool(self) -> PoolOut:
        """Launch no more machines until resumed."""
        return cast("PoolOut", self._call("POST", "/pool/pause"))

    def resume_pool(self) -> PoolOut:
        """Launch again, and forget earlier failures."""
        return cast("PoolOut", self._call("POST", "/pool/resume"))

    def replenish_pool(self) -> PoolOut:
        """Have the pool look at once whether it needs machines."""
        return cast("PoolOut", self._call("POST", "/pool/replenish"))

    def get_cost(self) -> CostOut:
        """What exists, and what it costs in a month."""
        return cast("CostOut", self._call("GET", "/cost"))

    def list_events(
        self, *, instance_id: str | None = None, machine_id: str | None = None, before_id: int | None = None, limit: int | None = None
    ) -> EventList:
        """The newest events first."""
        return cast(
            "EventList",
            self._call(
                "GET", "/events", query={"instance_id": instance_id, "machine_id": machine_id, "before_id": before_id, "limit": limit}
            ),
        )

    def diagnose_instance(self, instance_id: str) -> DiagnosisOut:
        """Look at everything between an instance's address and its OpenClaw, and name the likely cause."""
        return cast("DiagnosisOut", self._call("GET", f"/instances/{quote(instance_id, safe='')}/diagnosis"))

    def diagnose_machine(self, machine_id: str) -> DiagnosisOut:
        """The same, of a machine, spares included."""
        return cast("DiagnosisOut", self._call("GET", f"/machines/{quote(machine_id, safe='')}/diagnosis"))

    def list_alarms(self) -> AlarmList:
        """All alarms, those that are on first."""
        return cast("AlarmList", self._call("GET", "/alarms"))

    def test_alarms(self) -> ChannelTries:
        """Send a test message to all who are told of alarms."""
        return cast("ChannelTries", self._call("POST", "/alarms/test"))

    def get_advice(self) -> AdviceAnswer:
        """How many spares would have been enough in the last seven days. It changes nothing."""
        return cast("AdviceAnswer", self._call("GET", "/pool/advice"))

    def get_usage(self, *, month: str | None = None) -> UsageOut:
        """How long machines ran in a month, by user, as far as their rows are kept."""
        return cast("UsageOut", self._call("GET", "/cost/usage", query={"month": month}))

    def get_plans(self, *, users: int | None = None) -> PlanList:
        """What so many users would cost on AWS, and what each change would save and give up."""
        return cast("PlanList", self._call("GET", "/cost/plans", query={"users": users}))

    def get_overview(self) -> OverviewOut:
        """Is all well?"""
        return cast("OverviewOut", self._call("GET", "/overview"))

    def get_history(self, *, range: Literal["1h", "24h", "7d", "90d"] | None = None) -> HistoryOut:
        """How it went: spares, instances, creates, waits, trouble, costs, the steps of placements, calls to the cloud."""
        return cast("HistoryOut", self._call("GET", "/history", query={"range": range}))

    def retry_instance(self, instance_id: str) -> InstanceOut:
        """Retry any user's instance that has failed, or restart one that runs."""
        return cast("InstanceOut", self._call("POST", f"/instances/{quote(instance_id, safe='')}/retry"))

    def hold_instance(self, instance_id: str) -> InstanceOut:
        """Stop trying to place any user's instance, until somebody has it retried."""
        return cast("InstanceOut", self._call("POST", f"/instances/{quote(instance_id, safe='')}/hold"))

    def act_on_several(self, body: SeveralIn) -> SeveralOut:
        """Do one thing to several machines or instances. One that fails keeps none of the others from being done."""
        return cast("SeveralOut", self._call("POST", "/several", body=body))

    def me(self) -> UserOut:
        """Whose token this is."""
        return cast("UserOut", self._call("GET", "/me"))

    def get_mail(self) -> MailOut:
        """Whether the caller gets news of their instances by e-mail."""
        return cast("MailOut", self._call("GET", "/me/mail"))

    def change_mail(self, body: MailIn) -> MailOut:
        """Send the caller news of their instances by e-mail, or no more."""
        return cast("MailOut", self._call("PATCH", "/me/mail", body=body))

    def list_tokens(self) -> TokenList:
        """The caller's API tokens, without their secrets."""
        return cast("TokenList", self._call("GET", "/tokens"))

    def create_token(self, body: TokenCreate) -> TokenMade:
        """A new token; its secret is answered this once."""
        return cast("TokenMade", self._call("POST", "/tokens", body=body))

    def revoke_current_token(self) -> None:
        """Make the token useless that this request came with."""
        self._call("DELETE", "/tokens/current")

    def revoke_token(self, token: str) -> None:
        """Make one of the caller's tokens useless, named by its id."""
        self._call("DELETE", f"/tokens/{quote(token, safe='')}")

    def list_users(self) -> UserList:
        """All accounts."""
        return cast("UserList", self._call("GET", "/users"))

    def invite_user(self, body: InviteIn) -> Link:
        """A one-time link with which the invited person joins, answered this once."""
        return cast("Link", self._call("POST", "/users/invite", body=body))

    def disable_user(self, user_id: str) -> UserOut:
        """Shut a user out at once; their instances run on."""
        return cast("UserOut", self._call("POST", f"/users/{quote(user_id, safe='')}/disable"))

    def enable_user(self, user_id: str) -> UserOut:
        """Let a user in again."""
        return cast("UserOut", self._call("POST", f"/users/{quote(user_id, safe='')}/enable"))

    def change_role(self, user_id: str, body: RoleIn) -> UserOut:
        """Make a user an admin, or an admin a user; sessions, links and tokens end."""
        return cast("UserOut", self._call("POST", f"/users/{quote(user_id, safe='')}/role", body=body))

    def reset_user(self, user_id: str) -> Link:
        """A one-time link with which a user sets another password, answered this once."""
        return cast("Link", self._call("POST", f"/users/{quote(user_id, safe='')}/reset-link"))

    def list_webhooks(self) -> WebhookList:
        """The caller's webhooks, without their secrets."""
        return cast("WebhookList", self._call("GET", "/webhooks"))

    def create_webhook(self, body: WebhookCreate) -> WebhookSecret:
        """Have an address told what happens to the caller's instances from now on. The secret is answered this once."""
        return cast("WebhookSecret", self._call("POST", "/webhooks", body=body))

    def delete_webhook(self, webhook_id: str) -> None:
        """Tell this address no more, and forget it."""
        self._call("DELETE", f"/webhooks/{quote(webhook_id, safe='')}")

    def try_webhook(self, webhook_id: str) -> DeliveryOut:
        """Send a message of type `webhook.test` now; the answer says what came of it."""
        return cast("DeliveryOut", self._call("POST", f"/webhooks/{quote(webhook_id, safe='')}/test"))

    def enable_webhook(self, webhook_id: str) -> WebhookOut:
        """Tell an address again that the platform gave up: of what happens from now on."""
        return cast("WebhookOut", self._call("POST", f"/webhooks/{quote(webhook_id, safe='')}/enable"))

    def list_deliveries(self, webhook_id: str, *, limit: int | None = None) -> DeliveryList:
        """What came of the newest attempts, newest first."""
        return cast("DeliveryList", self._call("GET", f"/webhooks/{quote(webhook_id, safe='')}/deliveries", query={"limit": limit}))
