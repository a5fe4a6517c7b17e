"""What an operator has in an account before the platform starts: network, roles, launch template, load balancers, repository.

The lab's stand-in for terraform/, small and quick; the platform is given what `environment` says, under the names of its settings.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import botocore.session
from botocore.config import Config

from lab.cloud.server import LabCloud
from lab.plane.base import Balancers

ROLE: Final = "openclaw-machine"
REPOSITORY: Final = "openclaw"
AMI: Final = "ami-0abcdef1234567890"
VOLUME_GIB: Final = 1
LOG_GROUP: Final = "/openclaw-hosted/lab/gateways"
LOG_DAYS: Final = 7
KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIALABLABLABLABLABL", "AWS_SECRET_ACCESS_KEY": "lab"}
NOTICES: Final = (
    "EC2 Spot Instance Interruption Warning",
    "EC2 Instance Rebalance Recommendation",
    "EC2 Instance State-change Notification",
)
"""The events that come into the queue."""
QUEUE: Final = {"VisibilityTimeout": "30", "MessageRetentionPeriod": "3600"}
ZONES: Final = ("us-west-2a", "us-west-2b")
TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def machine_policy(deployment: str) -> dict[str, Any]:
    """What a machine may: read the one secret that names it, pull the image, talk to Run Command, write its log."""
    own = {
        "StringEquals": {"secretsmanager:ResourceTag/InstanceArn": "${ec2:SourceInstanceARN}"},
        "Null": {"ec2:SourceInstanceARN": "false"},
    }
    secrets = f"arn:aws:secretsmanager:*:*:secret:{deployment}/*"
    stream = f"arn:aws:logs:*:*:log-group:{LOG_GROUP}:*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secrets, "Condition": own},
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Resource": "*"},
            {"Effect": "Allow", "Action": ["ssm:UpdateInstanceInformation", "ssmmessages:*", "ec2messages:*"], "Resource": "*"},
            {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": stream},
        ],
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """What to furnish an account with."""

    user_data: Callable[[Sequence[str]], str] = lambda _: "#!/bin/bash\n"
    """From the addresses of the load balancers to what machines run at their first boot."""
    shards: int = 1
    zones: tuple[str, ...] = ZONES
    platform: tuple[str, int] = ("127.0.0.1", 8090)
    """Where the platform's own pages answer."""
    deployment: str = "openclaw"
    cidr: str = "127.0.0.0/8"
    """The network in which the lab's machines have their addresses."""
    hop_limit: int = 1


@dataclass
class Site:
    """An account, furnished."""

    cloud: LabCloud
    balancers: Balancers
    plan: Plan
    vpc: str = ""
    subnets: dict[str, str] = field(default_factory=dict)
    security_group: str = ""
    template: str = ""
    """For launches by hand."""
    fleet_template: str = ""
    load_balancers: list[str] = field(default_factory=list)
    listeners: list[str] = field(default_factory=list)
    repository: str = ""
    notices_queue: str = ""

    def __post_init__(self) -> None:
        self._session = botocore.session.Session()
        self._network()
        self._role()
        for number in range(self.plan.shards):
            self._load_balancer(number)
        self._templates()
        self._log_group()
        self._notices()
        made = self.client("ecr").create_repository(repositoryName=REPOSITORY)
        self.repository = made["repository"]["repositoryUri"]

    def client(self, service: str, keys: Mapping[str, str] | None = None) -> Any:
        """A client for tests and tools, with the account's own keys, or with a machine's."""
        given = keys or {"AccessKeyId": KEYS["AWS_ACCESS_KEY_ID"], "SecretAccessKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
        return self._session.create_client(
            service,
            region_name=self.cloud.region,
            endpoint_url=self.cloud.endpoint_url,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given.get("Token"),
            config=Config(retries={"total_max_attempts": 1}),
        )

    def environment(self) -> dict[str, str]:
        """The platform's settings for this account."""
        addresses = self.addresses()
        return {
            **KEYS,
            "PROVIDER": "aws",
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_REGION": self.cloud.region,
            "USER_INSTANCE_TYPE": "t3.small",
            "LAUNCH_TEMPLATE_ID": self.template,
            "FLEET_TEMPLATE_ID": self.fleet_template,
            "VPC_ID": self.vpc,
            "SUBNET_IDS": ",".join(self.subnets.values()),
            "SECURITY_GROUP_ID": self.security_group,
            "ALB_LISTENER_ARN": ",".join(self.listeners),
            "ECR_REPOSITORY_URL": self.repository,
            "DEPLOYMENT_NAME": self.plan.deployment,
            "GATEWAY_LOG_GROUP": LOG_GROUP,
            "NOTICES_QUEUE_URL": self.notices_queue,
            "DATA_VOLUME_GIB": str(VOLUME_GIB),
            "PUBLIC_URL": addresses[0],
            "SHARD_URLS": ",".join(addresses),
            "HOST": self.plan.platform[0],
            "PORT": str(self.plan.platform[1]),
        }

    def addresses(self) -> list[str]:
        """Where each load balancer can be reached from this computer."""
        return [f"http://localhost:{self.balancers.address(arn, 80)[1]}" for arn in self.load_balancers]

    def put_image(self, tag: str) -> None:
        """A manifest in the repository, for machines that pull nothing."""
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "annotations": {"tag": tag}}
        self.client("ecr").put_image(repositoryName=REPOSITORY, imageManifest=json.dumps(manifest), imageTag=tag)

    def _network(self) -> None:
        ec2 = self.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.associate_vpc_cidr_block(VpcId=self.vpc, CidrBlock=self.plan.cidr)
        for number, zone in enumerate(self.plan.zones):
            made = ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{16 * number}.0/20", AvailabilityZone=zone)
            self.subnets[zone] = made["Subnet"]["SubnetId"]
        made = ec2.create_security_group(GroupName="openclaw-machines", Description="8080 from the load balancer", VpcId=self.vpc)
        self.security_group = made["GroupId"]

    def _role(self) -> None:
        iam = self.client("iam")
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.put_role_policy(RoleName=ROLE, PolicyName="machine", PolicyDocument=json.dumps(machine_policy(self.plan.deployment)))
        iam.create_instance_profile(InstanceProfileName=ROLE)
        iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)

    def _log_group(self) -> None:
        logs = self.client("logs")
        logs.create_log_group(logGroupName=LOG_GROUP)
        logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=LOG_DAYS)

    def _notices(self) -> None:
        """A queue for what EC2 says of machines before they end, as terraform/events.tf makes it."""
        sqs, events = self.client("sqs"), self.client("events")
        self.notices_queue = str(sqs.create_queue(QueueName=f"{self.plan.deployment}-notices", Attributes=QUEUE)["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=self.notices_queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        name = f"{self.plan.deployment}-machines"
        events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.ec2"], "detail-type": list(NOTICES)}))
        events.put_targets(Rule=name, Targets=[{"Id": "notices", "Arn": arn}])

    def _templates(self) -> None:
        tags = [{"Key": "Name", "Value": "openclaw-user-instance"}, {"Key": "Deployment", "Value": self.plan.deployment}]
        disk = {"VolumeSize": VOLUME_GIB, "VolumeType": "gp3", "DeleteOnTermination": False, "Encrypted": True}
        interface = {"DeviceIndex": 0, "Groups": [self.security_group], "AssociatePublicIpAddress": True}
        fleets = {
            "ImageId": AMI,
            "InstanceType": "t3.small",
            "UserData": base64.b64encode(self.plan.user_data(self.addresses()).encode()).decode(),
            "IamInstanceProfile": {"Name": ROLE},
            "MetadataOptions": {
                "HttpTokens": "required", "HttpPutResponseHopLimit": self.plan.hop_limit, "InstanceMetadataTags": "enabled"
            },
            "CreditSpecification": {"CpuCredits": "unlimited"},
            "NetworkInterfaces": [interface],
            "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": disk}],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}, {"ResourceType": "volume", "Tags": tags}],
        }  # fmt: skip
        by_hand = {
            **fleets,
            "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}},
            "NetworkInterfaces": [{**interface, "SubnetId": next(iter(self.subnets.values()))}],
        }
        self.template, self.fleet_template = self._template("machine", by_hand), self._template("fleet", fleets)

    def _template(self, name: str, data: Mapping[str, Any]) -> str:
        made = self.client("ec2").create_launch_template(LaunchTemplateName=f"{self.plan.deployment}-{name}", LaunchTemplateData=data)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def _load_balancer(self, number: int) -> None:
        elbv2 = self.client("elbv2")
        name = f"{self.plan.deployment}-{number + 1}"
        made = elbv2.create_load_balancer(Name=name, Subnets=list(self.subnets.values()), SecurityGroups=[self.security_group])
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        host, port = self.plan.platform
        group = elbv2.create_target_group(
            Name=f"{name}-web", Protocol="HTTP", Port=port, VpcId=self.vpc, TargetType="ip", HealthCheckPath="/healthz",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": host, "Port": port}])
        listener = elbv2.create_listener(
            LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}]
        )
        self.load_balancers.append(arn)
        self.listeners.append(listener["Listeners"][0]["ListenerArn"])
