"""Routes: a listener rule for each instance, a target group for each machine, on one load balancer or several (shards).

The load balancer knows nobody's session. Behind a route OpenClaw itself asks for its token or a paired device, and while it is a spare's
it lets nobody in at all. So a spare's route is whole and in force before its user is known, and what is written on it then is for people
and later looks alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from openclaw_hosted.adapters.aws.listing import SharedListing
from openclaw_hosted.adapters.aws.names import group_of, machine_of_group
from openclaw_hosted.adapters.aws.rules import ALL_TO, Rule, actions_to, conditions, held_actions
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.aws.shard import Actions, Shard, ShardRules
from openclaw_hosted.adapters.fetching import fetch
from openclaw_hosted.adapters.openclaw.rpc import CLOSED_MARK, OPENCLAW_MARKUP
from openclaw_hosted.domain.errors import Conflict, NotFound, Unavailable
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.domain.origins import origin_of
from openclaw_hosted.domain.shards import shard_of
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.router import Route, Target

PROBE_SECONDS: Final = 10.0
PROBE_PAUSE_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0
"""How long a probe waits for a changed rule to be in force everywhere, which is supposed to take 1 to 20 seconds (docs/aws.md)."""
CONFIRM_SECONDS: Final = 30.0
CONFIRM_PAUSE_SECONDS: Final = 1.0
"""A new rule is in force after 1 to 20 seconds, and a new target healthy after one check."""
LISTED_SECONDS: Final = 2.0
"""How old a listing may be in which a rule is looked for: less than a lease, so that whoever had the row before made none since."""
PAGE: Final = 400
Conditions = list[dict[str, Any]]


class AwsRouter:
    """`Router` on Application Load Balancers. `address` is the platform's own; `instance_domain` is set where routing is by host name."""

    def __init__(
        self, sdk: Sdk, clock: Clock, shards: Sequence[Shard], deployment: str, vpc: str, address: str, instance_domain: str | None = None
    ) -> None:
        self._sdk = sdk
        self._clock = clock
        self._shards = [ShardRules(sdk, shard, deployment, vpc) for shard in shards]
        self._deployment = deployment
        self._address = address
        self._instance_domain = instance_domain
        self._listings = [SharedListing(shard.rules, clock) for shard in self._shards]
        self._known: dict[InstanceId, Rule] = {}
        """Rules as they were last seen or written here."""
        self._http = httpx.AsyncClient(trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ensure_own_rules(self) -> None:
        """Have the platform's own rules on all load balancers."""
        for shard in self._shards:
            await shard.ensure_own_rules()

    async def prepare(self, instance_id: InstanceId, target: Target) -> None:
        """Target group, target and rule. Costs nothing where it is so already."""
        rule = await self._rule(instance_id)
        if rule is not None and (rule.owner_id is not None or self._leads_to(rule, target)):
            return
        shard = self._shard(instance_id)
        group = await shard.ensure_group(target)
        self._known.pop(instance_id, None)
        if rule is None:
            made = await shard.create(instance_id, group, self._host(instance_id))
            if made is not None:
                self._known[instance_id] = made
        else:
            await self._modify(shard, rule, conditions(instance_id, self._host(instance_id)), actions_to(group))

    async def confirm(self, instance_id: InstanceId) -> None:
        """Ask through the load balancer until what is there is a gateway, closed as it is."""
        deadline = self._clock.monotonic() + CONFIRM_SECONDS
        while await self._problem(instance_id, CLOSED_MARK) is not None and self._clock.monotonic() < deadline:
            await self._clock.sleep(CONFIRM_PAUSE_SECONDS)

    async def bind(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        """Costs nothing where the rule leads to the machine already; else it is made or led there (swap), and marked, in one call."""
        rule = await self._current(instance_id, generation)
        if rule is not None and self._leads_to(rule, target):
            return
        shard = self._shard(instance_id)
        group = await shard.ensure_group(target)
        if rule is None:
            rule = await shard.create(instance_id, group, self._host(instance_id)) or await self._looked_up(instance_id)
        await self._write(rule, group, owner_id, generation)
        before = rule.group(self._deployment)
        if before not in (None, group):
            await shard.delete_group(str(before))

    async def mark(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        """Write generation and owner into the rule, in one call."""
        rule = await self._current(instance_id, generation)
        group = rule.group(self._deployment) if rule is not None and self._leads_to(rule, target) else None
        if rule is None or group is None:
            self._known.pop(instance_id, None)
            raise Unavailable("The route does not lead to the machine yet.")
        if (rule.owner_id, rule.generation) != (owner_id, generation):
            await self._write(rule, group, owner_id, generation)

    async def hold(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        """The rule keeps its mark, with all traffic to the platform: a load balancer shows nothing but an error while nothing answers."""
        rule = await self._rule(instance_id)
        group = rule.group(self._deployment) if rule is not None else None
        if rule is None or group is None or not rule.leads_to(self._deployment, group_of(self._deployment, machine_id)):
            return
        marked = None if rule.owner_id is None else (rule.generation, rule.owner_id)
        shard, wanted = self._shard(instance_id), conditions(instance_id, self._host(instance_id), marked)
        await self._modify(shard, rule, wanted, held_actions(group, shard.shard.platform_group))
        self._known.pop(instance_id, None)

    async def release(self, instance_id: InstanceId) -> None:
        """Deregister the machine, delete the rule and its target group. Does nothing where there is none."""
        self._known.pop(instance_id, None)
        rule = await self._rule(instance_id, 0)
        if rule is not None:
            await self._shard(instance_id).delete(rule)
            self._known.pop(instance_id, None)

    async def probe(self, instance_id: InstanceId, target: Target) -> None:
        """Ask for OpenClaw's page through the load balancer, which takes a moment to do as it was told."""
        rule = await self._rule(instance_id)
        if rule is None or not self._leads_to(rule, target):
            raise Unavailable("The route does not lead to the machine yet.")
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while (problem := await self._problem(instance_id)) is not None:
            if self._clock.monotonic() >= deadline:
                self._known.pop(instance_id, None)
                raise Unavailable(problem)
            await self._clock.sleep(PROBE_PAUSE_SECONDS)

    async def list(self) -> Sequence[Route]:
        """All routes, from one listing for each load balancer."""
        before = dict(self._known)
        found = [rule for shard in self._shards for rule in await shard.rules()]
        written = {each: rule for each, rule in self._known.items() if before.get(each) is not rule}
        self._known = {**{rule.instance_id: rule for rule in found}, **written}
        return [route for rule in found if (route := rule.route(self._deployment)) is not None]

    async def machines(self) -> Sequence[MachineId]:
        """All machines with a target group."""
        pages = self._sdk.pages(Call.DESCRIBE_GROUPS, PageSize=PAGE)
        names = [str(group["TargetGroupName"]) async for page in pages for group in page["TargetGroups"]]
        return [machine_id for name in names if (machine_id := machine_of_group(self._deployment, name)) is not None]

    async def forget(self, machine_id: MachineId) -> None:
        """Delete its target group. Raises `Conflict` while a rule leads there."""
        with suppress(NotFound):
            answer = await self._sdk.call(Call.DESCRIBE_GROUPS, Names=[group_of(self._deployment, machine_id)])
            for group in answer["TargetGroups"]:
                await self._shards[0].delete_group(str(group["TargetGroupArn"]))

    def signs_in(self, instance_id: InstanceId) -> bool:
        """Whether the instance is on the platform's own host, over HTTPS."""
        there = origin_of(self.public_url(instance_id))
        return there is not None and there.scheme == "https" and there == origin_of(self._address)

    def public_url(self, instance_id: InstanceId) -> str:
        """The address on the instance's load balancer, or at its own host name."""
        address = self._shard(instance_id).shard.address
        host = self._host(instance_id)
        return f"{urlsplit(address).scheme}://{host}{_port_of(address)}/{instance_id}/" if host else f"{address}/{instance_id}/"

    async def _problem(self, instance_id: InstanceId, *also: bytes) -> str | None:
        """What is wrong with the answer at the instance's address; None for OpenClaw's page, or what has one of `also` in it."""
        try:
            answer = await fetch(self._http, "GET", self.public_url(instance_id), seconds=PROBE_SECONDS)
        except httpx.HTTPError as problem:
            return f"The load balancer does not answer ({type(problem).__name__})."
        if any(mark in answer.body for mark in also):
            return None
        if answer.status != HTTPStatus.OK or OPENCLAW_MARKUP not in answer.body:
            return f"The load balancer answered {answer.status} in place of OpenClaw's page."
        return None

    def _host(self, instance_id: InstanceId) -> str | None:
        return f"{instance_id}.{self._instance_domain}" if self._instance_domain else None

    def _shard(self, instance_id: InstanceId) -> ShardRules:
        return self._shards[self._number(instance_id)]

    def _number(self, instance_id: InstanceId) -> int:
        number = shard_of(instance_id)
        return number if number < len(self._shards) else 0

    async def _write(self, rule: Rule, group: str, owner_id: UserId, generation: int) -> None:
        """Have the rule lead to this target group, marked."""
        instance_id = rule.instance_id
        wanted = conditions(instance_id, self._host(instance_id), (generation, owner_id))
        await self._modify(self._shard(instance_id), rule, wanted, actions_to(group))
        self._known[instance_id] = Rule(rule.arn, instance_id, {group: ALL_TO}, generation, owner_id)

    async def _modify(self, shard: ShardRules, rule: Rule, wanted: Conditions, actions: Actions) -> None:
        try:
            await shard.modify(rule, wanted, actions)
        except NotFound as problem:
            self._known.pop(rule.instance_id, None)
            raise Unavailable(f"The rule of {rule.instance_id} was deleted by someone else; it is made anew.") from problem

    def _leads_to(self, rule: Rule, target: Target) -> bool:
        return rule.leads_to(self._deployment, group_of(self._deployment, target.machine_id))

    async def _current(self, instance_id: InstanceId, generation: int) -> Rule | None:
        """The rule; a marked one as it is now. Raises `Conflict` where it is marked with a later generation."""
        rule = await self._rule(instance_id)
        if rule is not None and rule.owner_id is not None:
            rule = await self._looked_up(instance_id)
            if rule.owner_id is not None and rule.generation > generation:
                raise Conflict(f"Generation {rule.generation} of {instance_id} is bound, which is later than {generation}.")
        return rule

    async def _rule(self, instance_id: InstanceId, newer_than: float = LISTED_SECONDS) -> Rule | None:
        """The rule of an instance, looked up where it is not known. Those that look at the same time share a listing."""
        if instance_id not in self._known:
            for rule in await self._listings[self._number(instance_id)].get(newer_than):
                self._known.setdefault(rule.instance_id, rule)
        return self._known.get(instance_id)

    async def _looked_up(self, instance_id: InstanceId) -> Rule:
        self._known.pop(instance_id, None)
        rule = await self._rule(instance_id, 0)
        if rule is None:
            raise Unavailable(f"The load balancer does not list the new rule of {instance_id} yet.")
        return rule


def _port_of(address: str) -> str:
    port = urlsplit(address).port
    return f":{port}" if port else ""
