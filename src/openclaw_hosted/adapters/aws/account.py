"""What the settings name, looked up in the account when the platform starts; and the key that all its control planes share."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.aws.shard import Shard
from openclaw_hosted.adapters.aws.vault import Place
from openclaw_hosted.adapters.sealing import KEY_BYTES
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound

SEALING_KEY: Final = "sealing-key"
IMAGES: Final = (None, "application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")
"""What ECR says of images; of signatures and charts beside them it names others."""


@dataclass(frozen=True, slots=True)
class Network:
    """The subnets that machines are launched in, and the addresses from which a gateway is spoken to."""

    subnets: dict[str, list[str]]
    """Zone to subnets."""
    cidrs: tuple[str, ...]


async def find_place(sdk: Sdk, region: str) -> Place:
    """Partition and account, of the credentials in use."""
    arn = str((await sdk.call(Call.WHO_AM_I))["Arn"]).split(":")
    return Place(arn[1], region, arn[4])


async def find_network(sdk: Sdk, vpc: str, subnets: Sequence[str]) -> Network:
    """Raises `NotFound` or `Conflict`, which names the variable, where they are not in that VPC."""
    by_zone: defaultdict[str, list[str]] = defaultdict(list)
    for subnet in (await sdk.call(Call.DESCRIBE_SUBNETS, SubnetIds=list(subnets)))["Subnets"]:
        if subnet["VpcId"] != vpc:
            raise Conflict(f"SUBNET_IDS: {subnet['SubnetId']} is in {subnet['VpcId']}, not in VPC_ID={vpc}.")
        by_zone[subnet["AvailabilityZone"]].append(subnet["SubnetId"])
    (found,) = (await sdk.call(Call.DESCRIBE_VPCS, VpcIds=[vpc]))["Vpcs"]
    associated = [each["CidrBlock"] for each in found.get("CidrBlockAssociationSet", ())]
    return Network(dict(by_zone), tuple(dict.fromkeys([found["CidrBlock"], *associated])))


async def find_shards(sdk: Sdk, listeners: Sequence[str], addresses: Sequence[str]) -> list[Shard]:
    """The load balancers in the order of their listeners. Without `addresses`, AWS's own names serve."""
    bodies = [await _listener(sdk, arn) for arn in listeners]
    arns = list(dict.fromkeys(body["LoadBalancerArn"] for body in bodies))
    answer = await sdk.call(Call.DESCRIBE_BALANCERS, LoadBalancerArns=arns)
    names = {each["LoadBalancerArn"]: str(each["DNSName"]) for each in answer["LoadBalancers"]}
    return [
        Shard(
            body["ListenerArn"],
            body["LoadBalancerArn"],
            _platform_group(body),
            addresses[number] if addresses else _own_address(body, names),
        )
        for number, body in enumerate(bodies)
    ]


async def find_image(sdk: Sdk, repository: str, tag: str | None) -> str:
    """The gateway's image by digest, such as `…/openclaw@sha256:…`: of this tag or with this digest, or else the newest that has a tag.

    What has none may be a part of an image, or an attestation that was pushed with it.
    """
    name = repository.partition("/")[2]
    key = "imageDigest" if tag and tag.startswith("sha256:") else "imageTag"
    wanted: dict[str, Any] = {"imageIds": [{key: tag}]} if tag else {"filter": {"tagStatus": "TAGGED"}}
    pages = sdk.pages(Call.DESCRIBE_IMAGES, repositoryName=name, **wanted)
    found = [image async for page in pages for image in page["imageDetails"] if image.get("artifactMediaType") in IMAGES]
    if not found:
        raise NotFound(f"ECR_REPOSITORY_URL: the repository {name} has no image yet. Push one: make image, then as docs/aws.md says.")
    newest = max(found, key=lambda image: image["imagePushedAt"].timestamp() if image.get("imagePushedAt") else 0.0)
    return f"{repository}@{newest['imageDigest']}"


async def shared_key(sdk: Sdk, deployment: str) -> bytes:
    """The key that seals credentials on their way to the vault: a secret of its own, made by the first control plane that needs it."""
    name = f"{deployment}/{SEALING_KEY}"
    try:
        return _key((await sdk.call(Call.GET_SECRET, SecretId=name))["SecretString"], name)
    except NotFound:
        pass
    try:
        made = secrets.token_bytes(KEY_BYTES)
        await sdk.call(Call.CREATE_SECRET, Name=name, SecretString=made.hex(), Description="Seals credentials until they are in the vault.")
    except Conflict:
        return _key((await sdk.call(Call.GET_SECRET, SecretId=name))["SecretString"], name)
    return made


async def _listener(sdk: Sdk, arn: str) -> dict[str, Any]:
    found = await sdk.call(Call.DESCRIBE_LISTENERS, ListenerArns=[arn])
    return dict(found["Listeners"][0])


def _platform_group(body: dict[str, Any]) -> str:
    for action in body["DefaultActions"]:
        if action.get("TargetGroupArn"):
            return str(action["TargetGroupArn"])
        for group in action.get("ForwardConfig", {}).get("TargetGroups", ()):
            return str(group["TargetGroupArn"])
    raise Conflict(f"ALB_LISTENER_ARN: the default action of {body['ListenerArn']} has to forward to the platform's own target group.")


def _own_address(body: dict[str, Any], names: dict[str, str]) -> str:
    scheme, port = body["Protocol"].lower(), int(body["Port"])
    default = 443 if scheme == "https" else 80
    return f"{scheme}://{names[body['LoadBalancerArn']]}" + ("" if port == default else f":{port}")


def _key(text: str, name: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise Denied(f"The secret {name} does not hold the platform's key. Restore its earlier version.")
    return key
