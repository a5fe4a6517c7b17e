"""An older system in the lab: what docs/migration.md calls the default layout, beside things of the new system and of nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lab.cloud.server import LabCloud

PROOF = {"System": "openclaw-ecs"}
KEYED = [{"key": key, "value": value} for key, value in PROOF.items()]
TAGS = [{"Key": key, "Value": value} for key, value in PROOF.items()]


@dataclass
class OldAccount:
    """The account, and what a mapping has to say of it."""

    cloud: LabCloud
    client: Any
    balancer: str = ""
    listener: str = ""
    file_system: str = ""
    subnet: str = ""
    vpc: str = ""

    def build(self) -> None:
        """Everything but the users."""
        ec2, elbv2, ecs, efs = (self.client(name) for name in ("ec2", "elbv2", "ecs", "efs"))
        self.vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"us-west-2{zone}")["Subnet"]["SubnetId"]
            for number, zone in enumerate("ab")
        ]
        self.subnet = subnets[0]
        self.balancer = elbv2.create_load_balancer(Name="old", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        gone = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        self.listener = elbv2.create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=80, DefaultActions=[gone]
        )["Listeners"][0]["ListenerArn"]  # fmt: skip
        self.file_system = efs.create_file_system(CreationToken="old", Tags=TAGS)["FileSystemId"]
        efs.create_mount_target(FileSystemId=self.file_system, SubnetId=self.subnet)
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": TAGS}])["AllocationId"]
        ec2.create_nat_gateway(SubnetId=self.subnet, AllocationId=address, TagSpecifications=[{"ResourceType": "natgateway", "Tags": TAGS}])
        template = ec2.create_launch_template(
            LaunchTemplateName="ecs", LaunchTemplateData={"InstanceType": "t3.medium", "ImageId": "ami-12c6146b"},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": TAGS}],
        )["LaunchTemplate"]["LaunchTemplateId"]  # fmt: skip
        group = {"ResourceId": "ecs", "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="ecs", MinSize=0, MaxSize=2, DesiredCapacity=0, VPCZoneIdentifier=self.subnet,
            LaunchTemplate={"LaunchTemplateId": template}, Tags=[{**tag, **group} for tag in TAGS],
        )  # fmt: skip
        groups = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        provider = {"autoScalingGroupArn": groups[0]["AutoScalingGroupARN"]}
        ecs.create_capacity_provider(name="ecs-machines", autoScalingGroupProvider=provider, tags=KEYED)
        ecs.create_cluster(clusterName="openclaw", capacityProviders=["ecs-machines"], tags=KEYED)
        logs = self.client("logs")
        logs.create_log_group(logGroupName="/ecs/openclaw", tags=PROOF)

    def add_user(self, user: str, *, email: str | None = None, **variables: str) -> None:
        """A service, its secret, and the rule that leads there."""
        ecs, elbv2 = self.client("ecs"), self.client("elbv2")
        secret = self.client("secretsmanager").create_secret(Name=f"old/{user}", SecretString=json.dumps(variables), Tags=TAGS)["ARN"]
        volume = {"name": "state", "efsVolumeConfiguration": {"fileSystemId": self.file_system, "rootDirectory": f"/users/{user}"}}
        container = {
            "name": "openclaw", "image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw:2026.8.1", "memory": 2048,
            "secrets": [{"name": name, "valueFrom": f"{secret}:{name}::"} for name in variables],
            "mountPoints": [{"sourceVolume": "state", "containerPath": "/home/node/.openclaw"}],
        }  # fmt: skip
        task = ecs.register_task_definition(
            family=f"openclaw-{user}", containerDefinitions=[container], volumes=[volume], cpu="512", memory="2048", tags=KEYED
        )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
        group = elbv2.create_target_group(
            Name=f"old-{user}", Protocol="HTTP", Port=8080, VpcId=self.vpc, TargetType="ip", Tags=TAGS, HealthCheckPath=f"/{user}/",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=4, HealthyThresholdCount=2,
            Matcher={"HttpCode": "200,403"},  # a check does not say for whom it asks, which OpenClaw wants to know from a trusted proxy
        )  # fmt: skip
        arn = group["TargetGroups"][0]["TargetGroupArn"]
        elbv2.create_rule(
            ListenerArn=self.listener, Priority=len(elbv2.describe_rules(ListenerArn=self.listener)["Rules"]) + 1,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/{user}", f"/{user}/*"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": arn}],
        )  # fmt: skip
        tags = [*KEYED, {"key": "UserId", "value": user}, {"key": "UserEmail", "value": email or f"{user}@example.com"}]
        ecs.create_service(
            cluster="openclaw", serviceName=f"openclaw-{user}", taskDefinition=task, desiredCount=1, launchType="FARGATE", tags=tags,
            loadBalancers=[{"targetGroupArn": arn, "containerName": "openclaw", "containerPort": 8080}],
        )  # fmt: skip
