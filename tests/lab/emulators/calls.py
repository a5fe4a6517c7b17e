"""One list of calls, as the platform makes them or might by mistake, to be made against any AWS: what is compared is the error's code, or
the few facts of an answer that the platform goes by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

Known = dict[str, Any]
"""What earlier calls have brought: ids and ARNs, by names of our own."""
UNKNOWN_INSTANCE = "i-0123456789abcdef0"
UNKNOWN_VOLUME = "vol-0123456789abcdef0"
IMAGE = "ami-0abcdef1234567890"
TAGS = [{"Key": "Deployment", "Value": "openclaw"}]
STATEMENT = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}


def nothing(_: Any) -> object:
    return "answered"


@dataclass(frozen=True)
class Ask:
    """One call."""

    name: str
    service: str
    method: str
    params: Mapping[str, Any] | Callable[[Known], Mapping[str, Any]] = field(default_factory=dict)
    facts: Callable[[Any], object] = nothing
    keep: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """What of the answer later calls need."""


def outcomes(client: Callable[[str], Any], asks: tuple[Ask, ...]) -> dict[str, str]:
    """What came of each call, as text. One that needs what an earlier one did not bring is `not asked`."""
    known: Known = {}
    return {ask.name: _outcome(client, ask, known) for ask in asks}


def _outcome(client: Callable[[str], Any], ask: Ask, known: Known) -> str:
    try:
        params = ask.params(known) if callable(ask.params) else ask.params
    except KeyError:
        return "not asked"
    try:
        answer = getattr(client(ask.service), ask.method)(**params)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    try:
        known.update({name: take(answer) for name, take in ask.keep.items()})
        return str(ask.facts(answer))
    except (KeyError, IndexError, TypeError) as error:
        return f"unlike AWS's answer: {type(error).__name__}"


def _fleet(known: Known, token: str, count: int = 1, **more: Any) -> dict[str, Any]:
    template = {"LaunchTemplateId": known["template"], "Version": "$Latest"}
    overrides = [{"InstanceType": "t3.small", "SubnetId": known["subnet"]}]
    return {
        "Type": "instant",
        "ClientToken": token,
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": overrides}],
        "TargetCapacitySpecification": {"TotalTargetCapacity": count, "DefaultTargetCapacityType": "spot"},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [*TAGS, {"Key": "MachineId", "Value": "mc-aaaaaaaa"}]}],
        **more,
    }


def _template(known: Known) -> dict[str, Any]:
    disk = {"VolumeSize": 4, "VolumeType": "gp3", "DeleteOnTermination": False, "Encrypted": True}
    data = {
        "ImageId": IMAGE,
        "InstanceType": "t3.small",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [known["group"]], "AssociatePublicIpAddress": True}],
        "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": disk}],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": TAGS}],
    }
    return {"LaunchTemplateName": "fleet", "LaunchTemplateData": data}


def _machines(answer: Any) -> list[Any]:
    return [machine for reservation in answer["Reservations"] for machine in reservation["Instances"]]


def _launched(answer: Any) -> object:
    return [len(each["InstanceIds"]) for each in answer["Instances"]], sorted({each["ErrorCode"] for each in answer.get("Errors", ())})


def _machine(answer: Any) -> object:
    (machine,) = _machines(answer)
    devices = {each["DeviceName"]: each["Ebs"]["DeleteOnTermination"] for each in machine["BlockDeviceMappings"]}
    return machine.get("InstanceLifecycle"), machine["MetadataOptions"]["HttpTokens"], devices.get("/dev/sdf")


def _policy(statements: int) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT] * statements})


def _ended(answer: Any) -> object:
    return len(answer["TerminatingInstances"])


def _standard(machine: str) -> dict[str, str]:
    return {"InstanceId": machine, "CpuCredits": "standard"}


def _filters(**values: str) -> list[dict[str, Any]]:
    return [{"Name": name.replace("tag_", "tag:").replace("_", "-"), "Values": [value]} for name, value in values.items()]


NETWORK = (
    Ask("make a VPC", "ec2", "create_vpc", {"CidrBlock": "10.1.0.0/16"}, keep={"vpc": lambda a: a["Vpc"]["VpcId"]}),
    Ask(
        "make a subnet", "ec2", "create_subnet",
        lambda k: {"VpcId": k["vpc"], "CidrBlock": "10.1.0.0/20", "AvailabilityZone": "us-west-2a"},
        keep={"subnet": lambda a: a["Subnet"]["SubnetId"]},
    ),
    Ask(
        "make a subnet in another zone", "ec2", "create_subnet",
        lambda k: {"VpcId": k["vpc"], "CidrBlock": "10.1.16.0/20", "AvailabilityZone": "us-west-2b"},
        keep={"subnet b": lambda a: a["Subnet"]["SubnetId"]},
    ),
    Ask(
        "make a security group", "ec2", "create_security_group",
        lambda k: {"GroupName": "machines", "Description": "machines", "VpcId": k["vpc"]}, keep={"group": lambda a: a["GroupId"]},
    ),
)  # fmt: skip
MACHINES = (
    Ask(
        "make a launch template", "ec2", "create_launch_template", _template,
        keep={"template": lambda a: a["LaunchTemplate"]["LaunchTemplateId"]},
    ),
    Ask(
        "read its latest version", "ec2", "describe_launch_template_versions",
        lambda k: {"LaunchTemplateId": k["template"], "Versions": ["$Latest"]},
        lambda a: a["LaunchTemplateVersions"][0]["LaunchTemplateData"]["MetadataOptions"]["InstanceMetadataTags"],
    ),
    Ask(
        "launch a fleet", "ec2", "create_fleet", lambda k: _fleet(k, "row-1"), _launched,
        {"machine": lambda a: a["Instances"][0]["InstanceIds"][0], "launched": lambda a: a["Instances"]},
    ),
    Ask(
        "launch it again with its token", "ec2", "create_fleet", lambda k: _fleet(k, "row-1"), _launched,
        {"again": lambda a: a["Instances"]},
    ),
    Ask(
        "count what both have launched", "ec2", "describe_instances", {"Filters": _filters(tag_MachineId="mc-aaaaaaaa")},
        lambda a: len(_machines(a)),
    ),
    Ask("use a token for something else", "ec2", "create_fleet", lambda k: _fleet(k, "row-1", count=2), _launched),
    Ask("try a fleet without launching", "ec2", "create_fleet", lambda k: _fleet(k, "row-2", DryRun=True), _launched),
    Ask("look at the machine", "ec2", "describe_instances", lambda k: {"InstanceIds": [k["machine"]]}, _machine),
    Ask("ask for ids in pages", "ec2", "describe_instances", lambda k: {"InstanceIds": [k["machine"]], "MaxResults": 5}),
    Ask("look at a machine that is not", "ec2", "describe_instances", {"InstanceIds": [UNKNOWN_INSTANCE]}),
    Ask("tag it", "ec2", "create_tags", lambda k: {"Resources": [k["machine"]], "Tags": [{"Key": "Status", "Value": "available"}]}),
    Ask("tag a volume that is not", "ec2", "create_tags", {"Resources": [UNKNOWN_VOLUME], "Tags": TAGS}),
    Ask(
        "switch its credits, and those of a machine that is not", "ec2", "modify_instance_credit_specification",
        lambda k: {"InstanceCreditSpecifications": [_standard(k["machine"]), _standard(UNKNOWN_INSTANCE)]},
        lambda a: (
            len(a["SuccessfulInstanceCreditSpecifications"]),
            [each["Error"]["Code"] for each in a["UnsuccessfulInstanceCreditSpecifications"]],
        ),
    ),
    Ask("stop a Spot machine", "ec2", "stop_instances", lambda k: {"InstanceIds": [k["machine"]]}),
    Ask("start what runs", "ec2", "start_instances", lambda k: {"InstanceIds": [k["machine"]]}),
    Ask(
        "read an instance type", "ec2", "describe_instance_types", {"InstanceTypes": ["t3.small"]},
        lambda a: [(each["VCpuInfo"]["DefaultVCpus"], each["MemoryInfo"]["SizeInMiB"]) for each in a["InstanceTypes"]],
    ),
    Ask("read a type that is not", "ec2", "describe_instance_types", {"InstanceTypes": ["t9.small"]}),
)  # fmt: skip
VOLUMES = (
    Ask(
        "find its volume by tag", "ec2", "describe_volumes", {"Filters": _filters(tag_Deployment="openclaw")},
        lambda a: [each["State"] for each in a["Volumes"]],
    ),
    Ask(
        "make a volume", "ec2", "create_volume", {"AvailabilityZone": "us-west-2a", "Size": 4, "VolumeType": "gp3", "ClientToken": "vo-1"},
        lambda a: a["VolumeType"], {"volume": lambda a: a["VolumeId"]},
    ),
    Ask(
        "make it again with its token", "ec2", "create_volume",
        {"AvailabilityZone": "us-west-2a", "Size": 4, "VolumeType": "gp3", "ClientToken": "vo-1"}, lambda a: a["VolumeType"],
        {"same volume": lambda a: a["VolumeId"]},
    ),
    Ask(
        "count both", "ec2", "describe_volumes", lambda k: {"VolumeIds": [k["volume"], k["same volume"]]},
        lambda a: len({each["VolumeId"] for each in a["Volumes"]}),
    ),
    Ask(
        "make a volume in another zone", "ec2", "create_volume", {"AvailabilityZone": "us-west-2b", "Size": 4, "VolumeType": "gp3"},
        keep={"far volume": lambda a: a["VolumeId"]},
    ),
    Ask(
        "attach it from another zone", "ec2", "attach_volume",
        lambda k: {"VolumeId": k["far volume"], "InstanceId": k["machine"], "Device": "/dev/sdh"},
    ),
    Ask(
        "attach the volume", "ec2", "attach_volume",
        lambda k: {"VolumeId": k["volume"], "InstanceId": k["machine"], "Device": "/dev/sdg"},
    ),
    Ask(
        "attach it twice", "ec2", "attach_volume",
        lambda k: {"VolumeId": k["volume"], "InstanceId": k["machine"], "Device": "/dev/sdi"},
    ),
    Ask("delete it while it is attached", "ec2", "delete_volume", lambda k: {"VolumeId": k["volume"]}),
    Ask("detach it", "ec2", "detach_volume", lambda k: {"VolumeId": k["volume"]}),
    Ask("look at it", "ec2", "describe_volumes", lambda k: {"VolumeIds": [k["volume"]]}, lambda a: a["Volumes"][0]["State"]),
    Ask("detach it again", "ec2", "detach_volume", lambda k: {"VolumeId": k["volume"]}),
    Ask(
        "copy it", "ec2", "create_snapshot",
        lambda k: {"VolumeId": k["volume"], "TagSpecifications": [{"ResourceType": "snapshot", "Tags": TAGS}]},
        keep={"snapshot": lambda a: a["SnapshotId"]},
    ),
    Ask("delete it", "ec2", "delete_volume", lambda k: {"VolumeId": k["volume"]}),
    Ask("delete it again", "ec2", "delete_volume", lambda k: {"VolumeId": k["volume"]}),
    Ask(
        "find its copy by tag", "ec2", "describe_snapshots", {"OwnerIds": ["self"], "Filters": _filters(tag_Deployment="openclaw")},
        lambda a: [each["State"] for each in a["Snapshots"]],
    ),
    Ask("remove the copy", "ec2", "delete_snapshot", lambda k: {"SnapshotId": k["snapshot"]}),
    Ask("remove the copy again", "ec2", "delete_snapshot", lambda k: {"SnapshotId": k["snapshot"]}),
)  # fmt: skip


def _group_of(known: Known, **more: Any) -> dict[str, Any]:
    return {"Name": "openclaw-mc-aaaaaaaa", "Protocol": "HTTP", "Port": 8080, "VpcId": known["vpc"], "HealthCheckPath": "/healthz", **more}


def _rule_of(known: Known, *paths: str) -> dict[str, Any]:
    return {
        "ListenerArn": known["listener"],
        "Priority": 100,
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}}],
        "Actions": [{"Type": "forward", "TargetGroupArn": known["target group"]}],
    }


def _targets(known: Known, machine: str) -> dict[str, Any]:
    return {"TargetGroupArn": known["target group"], "Targets": [{"Id": machine, "Port": 8080}]}


def _priorities(answer: Any) -> object:
    return [each["Priority"] for each in answer["Rules"]]


ROUTES = (
    Ask(
        "make a load balancer", "elbv2", "create_load_balancer", lambda k: {"Name": "edge", "Subnets": [k["subnet"], k["subnet b"]]},
        keep={"balancer": lambda a: a["LoadBalancers"][0]["LoadBalancerArn"]},
    ),
    Ask(
        "make a listener", "elbv2", "create_listener",
        lambda k: {
            "LoadBalancerArn": k["balancer"], "Protocol": "HTTP", "Port": 80,
            "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}],
        },
        keep={"listener": lambda a: a["Listeners"][0]["ListenerArn"]},
    ),
    Ask(
        "make a target group", "elbv2", "create_target_group", _group_of,
        keep={"target group": lambda a: a["TargetGroups"][0]["TargetGroupArn"]},
    ),
    Ask("make the same again", "elbv2", "create_target_group", _group_of),
    Ask("make it with other settings", "elbv2", "create_target_group", lambda k: _group_of(k, Port=8081)),
    Ask(
        "set how long it drains", "elbv2", "modify_target_group_attributes",
        lambda k: {"TargetGroupArn": k["target group"], "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]},
    ),
    Ask("register the machine", "elbv2", "register_targets", lambda k: _targets(k, k["machine"])),
    Ask("register a machine that is not", "elbv2", "register_targets", lambda k: _targets(k, UNKNOWN_INSTANCE)),
    Ask(
        "look at its health before a rule", "elbv2", "describe_target_health", lambda k: {"TargetGroupArn": k["target group"]},
        lambda a: [each["TargetHealth"]["State"] for each in a["TargetHealthDescriptions"]],
    ),
    Ask("make a rule", "elbv2", "create_rule", lambda k: _rule_of(k, "/a", "/a/*"), keep={"rule": lambda a: a["Rules"][0]["RuleArn"]}),
    Ask("make another with its priority", "elbv2", "create_rule", lambda k: _rule_of(k, "/b")),
    Ask("make one with six values", "elbv2", "create_rule", lambda k: {**_rule_of(k, *"abcdef"), "Priority": 101}),
    Ask("list the rules", "elbv2", "describe_rules", lambda k: {"ListenerArn": k["listener"]}, _priorities),
    Ask(
        "change the rule's paths", "elbv2", "modify_rule",
        lambda k: {"RuleArn": k["rule"], "Conditions": _rule_of(k, "/c")["Conditions"]},
        lambda a: a["Rules"][0]["Conditions"][0]["PathPatternConfig"]["Values"],
    ),
    Ask("delete the group while the rule uses it", "elbv2", "delete_target_group", lambda k: {"TargetGroupArn": k["target group"]}),
    Ask("deregister the machine", "elbv2", "deregister_targets", lambda k: _targets(k, k["machine"])),
    Ask("delete the rule", "elbv2", "delete_rule", lambda k: {"RuleArn": k["rule"]}),
    Ask("delete the rule again", "elbv2", "delete_rule", lambda k: {"RuleArn": k["rule"]}),
    Ask("delete the group", "elbv2", "delete_target_group", lambda k: {"TargetGroupArn": k["target group"]}),
    Ask("delete the group again", "elbv2", "delete_target_group", lambda k: {"TargetGroupArn": k["target group"]}),
    Ask("find a group that is not", "elbv2", "describe_target_groups", {"Names": ["openclaw-mc-zzzzzzzz"]}),
)  # fmt: skip


def _put(value: str) -> dict[str, Any]:
    return {"SecretId": "openclaw/oc-1", "SecretString": value, "ClientRequestToken": "0123456789abcdef0123456789abcdef"}


SECRETS = (
    Ask("make a secret", "secretsmanager", "create_secret", {"Name": "openclaw/oc-1", "SecretString": "one", "Tags": TAGS}),
    Ask("make it again", "secretsmanager", "create_secret", {"Name": "openclaw/oc-1", "SecretString": "two"}),
    Ask("write it", "secretsmanager", "put_secret_value", _put("three")),
    Ask("write the same with its token", "secretsmanager", "put_secret_value", _put("three")),
    Ask("write something else with its token", "secretsmanager", "put_secret_value", _put("four")),
    Ask("read it", "secretsmanager", "get_secret_value", {"SecretId": "openclaw/oc-1"}, lambda a: a["SecretString"]),
    Ask("read one that is not", "secretsmanager", "get_secret_value", {"SecretId": "openclaw/oc-2"}),
    Ask("tag the secret", "secretsmanager", "tag_resource", {"SecretId": "openclaw/oc-1", "Tags": [{"Key": "InstanceArn", "Value": "x"}]}),
    Ask(
        "read its tags", "secretsmanager", "describe_secret", {"SecretId": "openclaw/oc-1"},
        lambda a: sorted(each["Key"] for each in a["Tags"]),
    ),
    Ask("keep it too long", "secretsmanager", "delete_secret", {"SecretId": "openclaw/oc-1", "RecoveryWindowInDays": 31}),
    Ask("delete the secret", "secretsmanager", "delete_secret", {"SecretId": "openclaw/oc-1", "RecoveryWindowInDays": 7}),
    Ask("read it then", "secretsmanager", "get_secret_value", {"SecretId": "openclaw/oc-1"}),
    Ask("make it anew meanwhile", "secretsmanager", "create_secret", {"Name": "openclaw/oc-1", "SecretString": "five"}),
    Ask("restore it", "secretsmanager", "restore_secret", {"SecretId": "openclaw/oc-1"}),
    Ask("read it again", "secretsmanager", "get_secret_value", {"SecretId": "openclaw/oc-1"}, lambda a: a["SecretString"]),
    Ask(
        "force the end of one that is not", "secretsmanager", "delete_secret",
        {"SecretId": "openclaw/oc-2", "ForceDeleteWithoutRecovery": True},
    ),
)  # fmt: skip
OTHERS = (
    Ask(
        "send a command to a machine that is not", "ssm", "send_command",
        {"InstanceIds": [UNKNOWN_INSTANCE], "DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}},
    ),
    Ask(
        "ask for a command that was not sent", "ssm", "get_command_invocation",
        {"CommandId": "00000000-0000-0000-0000-000000000000", "InstanceId": UNKNOWN_INSTANCE},
    ),
    Ask(
        "send one with too long a comment", "ssm", "send_command",
        lambda k: {
            "InstanceIds": [k["machine"]], "DocumentName": "AWS-RunShellScript", "Comment": "x" * 101, "Parameters": {"commands": ["true"]},
        },
    ),
    Ask("make a repository", "ecr", "create_repository", {"repositoryName": "openclaw"}),
    Ask("make it twice", "ecr", "create_repository", {"repositoryName": "openclaw"}),
    Ask("push an image", "ecr", "put_image", {"repositoryName": "openclaw", "imageManifest": json.dumps(MANIFEST), "imageTag": "1"}),
    Ask(
        "find it by its tag", "ecr", "describe_images", {"repositoryName": "openclaw", "imageIds": [{"imageTag": "1"}]},
        lambda a: a["imageDetails"][0]["imageTags"],
    ),
    Ask("find a tag that is not", "ecr", "describe_images", {"repositoryName": "openclaw", "imageIds": [{"imageTag": "2"}]}),
    Ask("find images of a repository that is not", "ecr", "describe_images", {"repositoryName": "absent"}),
    Ask("make a policy", "iam", "create_policy", {"PolicyName": "small", "PolicyDocument": _policy(1)}),
    Ask(
        "make a policy that is too long", "iam", "create_policy",
        {"PolicyName": "large", "PolicyDocument": _policy(100)},
    ),
    Ask(
        "read a quota", "service-quotas", "get_service_quota", {"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"},
        lambda a: a["Quota"]["QuotaCode"],
    ),
    Ask(
        "publish a metric", "cloudwatch", "put_metric_data",
        {"Namespace": "OpenClawHosted", "MetricData": [{"MetricName": "X", "Value": 1.0}]},
    ),
    Ask("ask who I am", "sts", "get_caller_identity", {}, lambda a: a["Arn"].split(":")[0]),
    Ask("end the machine", "ec2", "terminate_instances", lambda k: {"InstanceIds": [k["machine"]]}, _ended),
    Ask("end it again", "ec2", "terminate_instances", lambda k: {"InstanceIds": [k["machine"]]}, _ended),
    Ask("end one that is not", "ec2", "terminate_instances", {"InstanceIds": [UNKNOWN_INSTANCE]}),
)  # fmt: skip
CALLS = (*NETWORK, *MACHINES, *VOLUMES, *ROUTES, *SECRETS, *OTHERS)
