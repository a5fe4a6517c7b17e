"""Machines: EC2 instances from a launch template, one for each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from openclaw_hosted.adapters.aws.agents import Agents
from openclaw_hosted.adapters.aws.errors import NO_CAPACITY, refusal
from openclaw_hosted.adapters.aws.fleet import INITIALIZING, Ec2Machine, Fleet
from openclaw_hosted.adapters.aws.names import MACHINE_NAME, Tag, as_tags
from openclaw_hosted.adapters.aws.sdk import Answer, Call, Sdk
from openclaw_hosted.domain.errors import NoCapacity, NotFound, PortError
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth, ObservedMachine, one_of

log = structlog.get_logger("aws")
SPOT: Final = "spot"
ON_DEMAND: Final = "on-demand"
OTHER_SIZES: Final = "other-sizes"
BURSTABLE: Final = ("t3.", "t3a.", "t4g.")
ENDED: Final = frozenset({"shutting-down", "terminated"})
LABELS: Final = (Tag.STATUS, Tag.USER, Tag.INSTANCE)
SHUTTING_DOWN: Final = frozenset({"shutting-down", "stopping"})


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """How machines of a deployment are launched."""

    deployment: str
    template: str
    instance_types: Sequence[str]
    subnets: Mapping[str, Sequence[str]]
    """Zone to the subnets in it."""
    on_demand_always: bool = False
    on_demand_fallback: bool = False
    on_demand_replacements: bool = False
    """As `on_demand_fallback`, for machines that take over a user's volume."""

    def ways(self, spec: LaunchSpec) -> Sequence[Way]:
        """What to ask for, one after the other: Spot of the wanted size, then Spot of others, which cost more, then on demand."""
        everything, token = tuple(self.instance_types), str(spec.machine_id)
        if self.on_demand_always:
            return (Way(ON_DEMAND, everything, token),)
        size = _size(everything[0])
        alike = tuple(kind for kind in everything if _size(kind) == size)
        others = tuple(kind for kind in everything if _size(kind) != size)
        found = [Way(SPOT, alike, token)]
        if others:
            found.append(Way(SPOT, others, f"{token}-{OTHER_SIZES}"))
        if self.on_demand_fallback or (self.on_demand_replacements and spec.zone):
            found.append(Way(ON_DEMAND, everything, f"{token}-{ON_DEMAND}"))
        return found


@dataclass(frozen=True, slots=True)
class Way:
    """One request for a machine."""

    market: str
    instance_types: Sequence[str]
    token: str
    """By which EC2 knows it again."""


class AwsMachines:
    """`Machines` on EC2. The provider's id is the instance id, `i-…`."""

    def __init__(self, sdk: Sdk, fleet: Fleet, agents: Agents, plan: LaunchPlan) -> None:
        self._sdk = sdk
        self._fleet = fleet
        self._agents = agents
        self._plan = plan

    async def launch(self, spec: LaunchSpec) -> str:
        """Ask for a machine; the client token is the row's id, so that asking again finds the same one. Raises `NoCapacity`."""
        with suppress(NotFound):
            return (await self._fleet.called(spec.machine_id)).ref
        *before, last = self._plan.ways(spec)
        for way in before:
            with suppress(NoCapacity):
                return await self._ask(spec, way)
        return await self._ask(spec, last)

    async def adopt(self, provider_ref: str, spec: LaunchSpec) -> None:
        """Put the tags of `spec` on a machine that was started by hand. Costs nothing where it has them. Raises `NotFound`."""
        machine = await self._fleet.find(provider_ref)
        if machine.machine_id != spec.machine_id:
            await self._sdk.call(Call.CREATE_TAGS, Resources=[provider_ref], Tags=as_tags(self._tags(spec)))
            self._fleet.forget()

    async def observe(self) -> Sequence[ObservedMachine]:
        """All machines that exist. One is up once its agent takes commands; what happens inside after that is not looked at here."""
        machines = await self._fleet.list()
        self._agents.keep([machine.ref for machine in machines])
        return await self._seen(machines)

    async def look_for(self, machine_id: MachineId, provider_ref: str | None) -> ObservedMachine | None:
        """Among those that boot, where one that is waited for usually is; only then among all."""
        booting = await self._fleet.booting()
        if any(each.machine_id == machine_id or each.ref == provider_ref for each in booting):
            return one_of(await self._seen(booting), machine_id, provider_ref)
        return one_of(await self.observe(), machine_id, provider_ref)

    async def label(self, provider_ref: str, labels: Mapping[str, str]) -> None:
        """Write the labels as tags. Raises `NotFound`."""
        await self._fleet.find(provider_ref)
        await self._sdk.call(Call.CREATE_TAGS, Resources=[provider_ref], Tags=as_tags(labels))

    async def start(self, provider_ref: str) -> None:
        """Start a stopped one. Raises `NotFound`, and `Conflict` for a Spot machine, which AWS does not start again."""
        machine = await self._fleet.look_at(provider_ref)
        if machine.state == "stopped":
            await self._sdk.call(Call.START_INSTANCES, InstanceIds=[provider_ref])
            self._fleet.forget()

    async def terminate(self, provider_ref: str) -> None:
        """Ask for its end, and write so in its tags, by which operators look for machines. Does nothing where it is gone."""
        with suppress(NotFound):
            answer = await self._sdk.call(Call.TERMINATE_INSTANCES, InstanceIds=[provider_ref])
            if any(each["PreviousState"]["Name"] not in ENDED for each in answer["TerminatingInstances"]):
                await self._tell_of_its_end(provider_ref)
        self._agents.forget(provider_ref)
        self._fleet.forget()

    async def economize(self, provider_refs: Sequence[str]) -> Collection[str]:
        """Switch CPU credits from `unlimited` to `standard`, in one call. What is of another kind has none."""
        kinds = {machine.ref: machine.kind for machine in await self._fleet.list()}
        burstable = [ref for ref in provider_refs if kinds.get(ref, "").startswith(BURSTABLE)]
        done = {ref for ref in provider_refs if ref in kinds} - set(burstable)
        return done | set(await self._without_lent_credits(burstable)) if burstable else done

    async def room(self) -> int | None:
        """EC2 tells only by trying."""
        return None

    async def _seen(self, machines: Sequence[Ec2Machine]) -> Sequence[ObservedMachine]:
        online = await self._agents.online([machine.ref for machine in machines if machine.state == "running"])
        return [self._observed(machine, online) for machine in machines]

    async def _without_lent_credits(self, refs: Sequence[str]) -> Sequence[str]:
        """Those that were switched. What EC2 refuses for some stands in its answer, which is no error."""
        wanted = [{"InstanceId": ref, "CpuCredits": "standard"} for ref in refs]
        answer = await self._sdk.call(Call.MODIFY_CREDITS, InstanceCreditSpecifications=wanted)
        for each in answer.get("UnsuccessfulInstanceCreditSpecifications", ()):
            error = each.get("Error", {})
            log.warning("credits not switched", ref=each.get("InstanceId"), code=error.get("Code"), error=error.get("Message"))
        return [str(each["InstanceId"]) for each in answer.get("SuccessfulInstanceCreditSpecifications", ())]

    async def _tell_of_its_end(self, provider_ref: str) -> None:
        """For people alone: where the tag can't be written, the machine ends all the same."""
        with suppress(PortError):
            await self._sdk.call(Call.CREATE_TAGS, Resources=[provider_ref], Tags=as_tags({Tag.STATUS: "terminating"}))

    async def _ask(self, spec: LaunchSpec, way: Way) -> str:
        options: dict[str, Any] = (
            {"SpotOptions": {"AllocationStrategy": "price-capacity-optimized", "InstanceInterruptionBehavior": "terminate"}}
            if way.market == SPOT
            else {"OnDemandOptions": {"AllocationStrategy": "lowest-price"}}
        )
        answer = await self._sdk.call(
            Call.CREATE_FLEET,
            Type="instant",
            ClientToken=way.token,
            LaunchTemplateConfigs=[self._template(spec, way)],
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": way.market},
            TagSpecifications=[{"ResourceType": "instance", "Tags": as_tags(self._tags(spec))}],
            **options,
        )
        for launched in answer.get("Instances", ()):
            self._fleet.expect()
            return str(launched["InstanceIds"][0])
        raise _why(answer)

    def _template(self, spec: LaunchSpec, way: Way) -> dict[str, Any]:
        subnets = [subnet for zone, found in self._plan.subnets.items() if spec.zone in ("", zone) for subnet in found]
        if not subnets:
            raise NoCapacity(f"SUBNET_IDS has no subnet in zone {spec.zone}, where the user's volume is.")
        overrides = [{"InstanceType": kind, "SubnetId": subnet} for kind in way.instance_types for subnet in subnets]
        return {
            "LaunchTemplateSpecification": {"LaunchTemplateId": self._plan.template, "Version": "$Latest"},
            "Overrides": overrides,
        }

    def _tags(self, spec: LaunchSpec) -> dict[str, str]:
        return {
            Tag.NAME: MACHINE_NAME,
            Tag.DEPLOYMENT: self._plan.deployment,
            Tag.STATUS: INITIALIZING,
            Tag.MACHINE: spec.machine_id,
            Tag.RESERVED: spec.reserved_instance_id,
            Tag.IMAGE: spec.image,
        }

    def _observed(self, machine: Ec2Machine, online: Collection[str]) -> ObservedMachine:
        return ObservedMachine(
            provider_ref=machine.ref,
            machine_id=machine.machine_id,
            health=_health(machine, online),
            address=machine.address,
            zone=machine.zone,
            launched_at=machine.launched_at,
            serves_user=machine.tags.get(Tag.STATUS) == "assigned",
            adoptable=machine.machine_id is None and machine.state in ("pending", "running"),
            labels={key: machine.tags[key] for key in LABELS if key in machine.tags},
            reserved_instance_id=InstanceId(machine.tags[Tag.RESERVED]) if Tag.RESERVED in machine.tags else None,
            image=machine.tags.get(Tag.IMAGE, ""),
        )


def _size(instance_type: str) -> str:
    """Such as `small`."""
    return instance_type.rpartition(".")[2]


def _health(machine: Ec2Machine, online: Collection[str]) -> MachineHealth:
    if machine.state == "running":
        return MachineHealth.UP if machine.ref in online else MachineHealth.BOOTING
    if machine.state == "stopped":
        return MachineHealth.STOPPED
    return MachineHealth.SHUTTING_DOWN if machine.state in SHUTTING_DOWN else MachineHealth.BOOTING


def _why(answer: Answer) -> Exception:
    """What the errors of a fleet that launched nothing mean: any that speaks of capacity decides."""
    errors = [(str(each.get("ErrorCode", "")), str(each.get("ErrorMessage", ""))) for each in answer.get("Errors", ())]
    if not errors:
        return NoCapacity("EC2 launched no machine and gave no reason.")
    code, message = next((error for error in errors if error[0] in NO_CAPACITY), errors[0])
    return refusal(Call.CREATE_FLEET, code, message)
