"""What `doctor` says of machines in AWS: whether their types fit together, and how many the account's quotas allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from openclaw_hosted.adapters.aws.machines import ON_DEMAND, SPOT
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.bootstrap.doctor.computer import Doubtful
from openclaw_hosted.domain.errors import Denied, NotFound, PortError
from openclaw_hosted.settings_aws import AwsSettings

QUOTAS: Final[Mapping[str, str]] = {SPOT: "L-34B43A08", ON_DEMAND: "L-1216C47A"}
"""Codes of the quotas of vCPUs that run, for the families A, C, D, H, I, M, R, T and Z."""
QUOTAS_FIX: Final = (
    "Ask AWS for more, which it looks at within minutes to days: docs/deploy.md, step 0. Fewer POOL_SPARE_COUNT and a smaller FLEET_CAP "
    "need less."
)
TYPES_FIX: Final = "Correct USER_INSTANCE_TYPE and EXTRA_INSTANCE_TYPES: types of one processor architecture that the region has."


async def check_types(sdk: Sdk, aws: AwsSettings) -> str:
    """All exist, and run the same image."""
    types = await _types(sdk, aws)
    architectures = [set(each["ProcessorInfo"]["SupportedArchitectures"]) for each in types]
    if not set.intersection(*architectures):
        raise PortError(f"No image runs on all of {', '.join(aws.instance_types)}: their processors have no architecture in common.")
    return ", ".join(f"{each['InstanceType']} ({_vcpus(each)} vCPUs, {each['MemoryInfo']['SizeInMiB'] / 1024:g} GiB)" for each in types)


@dataclass(frozen=True, slots=True)
class Demand:
    """How many machines the settings ask for."""

    spares: int
    cap: int

    async def check(self, sdk: Sdk, aws: AwsSettings) -> str:
        """The quota of the market that machines are launched in first decides; on demand beside Spot is for shortages."""
        vcpus = max(_vcpus(each) for each in await _types(sdk, aws))
        first = ON_DEMAND if aws.on_demand_spares else SPOT
        found = [self._judged(first, await _quota(sdk, first), vcpus, aws.region)]
        if first == SPOT and (aws.on_demand_fallback or aws.on_demand_replacements):
            allowed = await _quota(sdk, ON_DEMAND)
            if allowed < vcpus:
                raise Doubtful(
                    f"{_allows(ON_DEMAND, allowed, vcpus)}, so none where Spot has no capacity. {_ask(ON_DEMAND, vcpus, aws.region)}"
                )
            found.append(_allows(ON_DEMAND, allowed, vcpus))
        return "; ".join(found)

    def _judged(self, market: str, allowed: int, vcpus: int, region: str) -> str:
        machines, told = allowed // vcpus, _allows(market, allowed, vcpus)
        more = _ask(market, self.cap * vcpus, region)
        if machines <= self.spares:
            raise PortError(f"{told}, and POOL_SPARE_COUNT={self.spares} with one user takes {self.spares + 1}. {more}")
        if machines < self.cap:
            raise Doubtful(f"{told}, and FLEET_CAP is {self.cap}. {more}")
        return told


async def _types(sdk: Sdk, aws: AwsSettings) -> list[Mapping[str, Any]]:
    return list((await sdk.call(Call.DESCRIBE_TYPES, InstanceTypes=list(aws.instance_types)))["InstanceTypes"])


async def _quota(sdk: Sdk, market: str) -> int:
    """In vCPUs. Raises `Doubtful` where Service Quotas does not tell."""
    try:
        answer = await sdk.call(Call.GET_QUOTA, ServiceCode="ec2", QuotaCode=QUOTAS[market])
    except (Denied, NotFound) as problem:
        raise Doubtful(f"The quota {QUOTAS[market]} could not be read: {problem}") from None
    return int(answer["Quota"]["Value"])


def _vcpus(instance_type: Mapping[str, Any]) -> int:
    return int(instance_type["VCpuInfo"]["DefaultVCpus"])


def _allows(market: str, allowed: int, vcpus: int) -> str:
    return f"{market}: {allowed} vCPUs, enough for {allowed // vcpus} machines of {vcpus}"


def _ask(market: str, vcpus: int, region: str) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {QUOTAS[market]} --desired-value {vcpus} "
        f"--region {region}"
    )
