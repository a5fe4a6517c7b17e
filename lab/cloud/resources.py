"""Which resources a call is about, and what IAM's condition keys are for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import RESOURCE, Call, resources
from lab.cloud.policy import parsed
from lab.cloud.secrets import stored

if TYPE_CHECKING:
    from lab.cloud.account import Account

KINDS: Mapping[str, str] = {
    "i": "instance",
    "vol": "volume",
    "eni": "network-interface",
    "snap": "snapshot",
    "lt": "launch-template",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "ami": "image",
    "fleet": "fleet",
}
LAUNCHES = frozenset({"ec2:RunInstances", "ec2:CreateFleet"})
UNSCOPED = ("Describe", "List", "Get")
"""EC2's and SSM's reads are about everything, whatever they are asked for."""
SCOPED_READS = frozenset({"secretsmanager", "sqs", "iam", "ecr"})
BALANCING: Mapping[str, str] = {"CreateRule": "ListenerArn", "ModifyRule": "RuleArn", "DeleteRule": "RuleArn"}
"""Which parameter of a call about rules IAM looks at; it does not look at the target groups that a rule names."""
Target = tuple[str, str, str | None]
"""An action, the ARN that it is about, and the id whose tags count."""


def ec2_arn(account: Account, identity: str) -> str:
    """Of an EC2 resource by its id."""
    kind = KINDS[identity.partition("-")[0]]
    owner = "" if kind in {"image", "snapshot"} else account.account_id
    return f"arn:aws:ec2:{account.region}:{owner}:{kind}/{identity}"


def targets_of(account: Account, call: Call) -> list[Target]:
    """What has to be allowed for a call; `*` where it is about nothing in particular."""
    service = call.action.partition(":")[0]
    if service == "secretsmanager":
        return [_secret_target(account, call)]
    if (named_arn := _named_arn(account, service, call)) is not None:
        return [(call.action, named_arn, None)]
    if call.operation.startswith(UNSCOPED) and service not in SCOPED_READS:
        return [(call.action, "*", None)]
    if call.action in LAUNCHES:
        return list(_launch_targets(account, call))
    if call.action in PARTICULAR:
        return PARTICULAR[call.action](account, call)
    if call.operation in BALANCING:
        arn = call.params[BALANCING[call.operation]]
        return [(call.action, arn, arn)]
    if service == "ecr" and "repositoryName" in call.params:
        arn = f"arn:aws:ecr:{account.region}:{account.account_id}:repository/{call.params['repositoryName']}"
        return [(call.action, arn, arn)]
    named = [each for each in dict.fromkeys(resources(call.params)) if RESOURCE.match(each)]
    if service == "ec2":
        return [(call.action, ec2_arn(account, each), each) for each in named] or _created(account, call)
    return [(call.action, each, each) for each in named if each.startswith("arn:")] or [(call.action, "*", None)]


def _created(account: Account, call: Call) -> list[Target]:
    if call.action == "ec2:CreateVolume":
        return [(call.action, f"arn:aws:ec2:{account.region}:{account.account_id}:volume/*", None)]
    return [(call.action, "*", None)]


def _command_targets(account: Account, call: Call) -> list[Target]:
    ids = call.params.get("InstanceIds") or []
    document = f"arn:aws:ssm:{account.region}::document/{call.params.get('DocumentName')}"
    return [(call.action, document, None), *((call.action, ec2_arn(account, each), each) for each in ids)]


def _group_targets(account: Account, call: Call) -> list[Target]:
    prefix = f"arn:aws:elasticloadbalancing:{account.region}:{account.account_id}"
    return [(call.action, f"{prefix}:targetgroup/{call.params['Name']}/*", None)]


def _snapshot_targets(account: Account, call: Call) -> list[Target]:
    volume_id, made = call.params["VolumeId"], f"arn:aws:ec2:{account.region}::snapshot/*"
    tagged = [("ec2:CreateTags", made, None)] if call.params.get("TagSpecifications") else []
    return [(call.action, ec2_arn(account, volume_id), volume_id), (call.action, made, None), *tagged]


PARTICULAR: Mapping[str, Callable[[Account, Call], list[Target]]] = {
    "ssm:SendCommand": _command_targets,
    "elasticloadbalancing:CreateTargetGroup": _group_targets,
    "ec2:CreateSnapshot": _snapshot_targets,
}
"""How it is told for some actions."""


def _launch_targets(account: Account, call: Call) -> Iterator[Target]:
    from lab.cloud.launch import template_data

    configs = call.params.get("LaunchTemplateConfigs") or [{"LaunchTemplateSpecification": call.params.get("LaunchTemplate")}]
    template, _ = template_data(account, configs[0].get("LaunchTemplateSpecification"))
    prefix = f"arn:aws:ec2:{account.region}:{account.account_id}"
    if call.action == "ec2:CreateFleet":
        yield call.action, f"{prefix}:fleet/*", None
    for kind in ("instance", "volume", "network-interface"):
        yield "ec2:RunInstances", f"{prefix}:{kind}/*", None
    for each in dict.fromkeys([*resources(call.params), *resources(template)]):
        if RESOURCE.match(each) and not each.startswith("arn:"):
            yield "ec2:RunInstances", ec2_arn(account, each), each
    if call.params.get("TagSpecifications") or template.get("TagSpecifications"):
        yield "ec2:CreateTags", f"{prefix}:instance/*", None
    profile = {**template, **call.params}.get("IamInstanceProfile")
    if profile:
        for role in _profile(account, profile).roles:
            yield "iam:PassRole", role.arn, None


def _profile(account: Account, reference: Mapping[str, Any]) -> Any:
    from moto.ec2.utils import filter_iam_instance_profiles

    return filter_iam_instance_profiles(
        account.account_id, partition="aws", iam_instance_profile_arn=reference.get("Arn"), iam_instance_profile_name=reference.get("Name")
    )


def _named_arn(account: Account, service: str, call: Call) -> str | None:
    """Of what a call names by other than its ARN: a queue by its address, a stream by its group."""
    prefix = f"arn:aws:{service}:{account.region}:{account.account_id}"
    if service == "sqs" and "QueueUrl" in call.params:
        return f"{prefix}:{call.params['QueueUrl'].rpartition('/')[2]}"
    if service == "logs" and ("logStreamName" in call.params or call.operation == "FilterLogEvents"):
        return f"{prefix}:log-group:{call.params['logGroupName']}:log-stream:{call.params.get('logStreamName', '')}"
    return None


def _secret_target(account: Account, call: Call) -> Target:
    wanted = call.params.get("SecretId") or call.params.get("Name")
    if wanted is None:
        return call.action, "*", None
    secret = _secret(account, wanted)
    if secret is not None:
        return call.action, secret.arn, secret.arn
    arn = wanted if wanted.startswith("arn:") else f"arn:aws:secretsmanager:{account.region}:{account.account_id}:secret:{wanted}-??????"
    return call.action, arn, None


def _secret(account: Account, identity: str) -> Any:
    store = stored(account)
    return store.get(identity) if identity in store else None


def resource_policy(account: Account, action: str, subject: str | None) -> list[Mapping[str, Any]]:
    """The policy that a secret carries itself."""
    if subject is None or not action.startswith("secretsmanager:"):
        return []
    secret = _secret(account, subject)
    return [parsed(secret.policy)] if secret is not None and secret.policy else []


def context_of(account: Account, call: Call, role_name: str, subject: str | None) -> dict[str, str | list[str]]:
    """The condition keys of one request, in lower case."""
    from lab.cloud.access import role_arn

    context: dict[str, str | list[str]] = {
        "aws:principalarn": role_arn(account, role_name),
        "aws:principalaccount": account.account_id,
        "aws:requestedregion": account.region,
    }
    if call.caller.instance_id is not None:
        context["ec2:sourceinstancearn"] = ec2_arn(account, call.caller.instance_id)
    if subject is not None:
        context["aws:arn"] = subject if subject.startswith("arn:") else ec2_arn(account, subject)
        for key, value in _tags(account, subject).items():
            for prefix in {"aws", call.action.partition(":")[0]}:
                context[f"{prefix}:resourcetag/{key}".lower()] = value
    if subject is not None and subject.startswith("ami-"):
        context["ec2:owner"] = _owner(account, subject)
    if call.action == "cloudwatch:PutMetricData":
        context["cloudwatch:namespace"] = call.params["Namespace"]
    context |= _of_what_is_made(call)
    requested = _requested_tags(call)
    for key, value in requested.items():
        context[f"aws:requesttag/{key}".lower()] = value
    if requested:
        context["aws:tagkeys"] = list(requested)
    return context


def _of_what_is_made(call: Call) -> dict[str, str]:
    passed = {"iam:passedtoservice": "ec2.amazonaws.com"} if call.action in LAUNCHES else {}
    makes = call.action in LAUNCHES or call.params.get("TagSpecifications")
    return {**passed, "ec2:createaction": call.operation} if makes else passed


def _owner(account: Account, image_id: str) -> str:
    """Of a machine image: an account, or `amazon`, whose images moto launches whether it knows them or not."""
    image = account.ec2.amis.get(image_id)
    return "amazon" if image is None else str(image.owner_alias or image.owner_id)


def _tags(account: Account, subject: str) -> Mapping[str, str]:
    if subject.startswith("arn:aws:secretsmanager:"):
        secret = _secret(account, subject)
        return {tag["Key"]: tag["Value"] for tag in (secret.tags or [])} if secret is not None else {}
    if subject.startswith("arn:aws:elasticloadbalancing:"):
        return account.elbv2.tagging_service.get_tag_dict_for_resource(subject)  # type: ignore[no-any-return]
    return account.ec2.tags.get(subject, {})  # type: ignore[no-any-return]


def _requested_tags(call: Call) -> dict[str, str]:
    found = call.params.get("Tags") or call.params.get("Tag") or []
    for spec in call.params.get("TagSpecifications") or []:
        found = [*found, *(spec.get("Tags") or [])]
    return {tag["Key"]: tag.get("Value", "") for tag in found if isinstance(tag, Mapping) and "Key" in tag}
