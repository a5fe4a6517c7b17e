"""Terraform, run on a copy of terraform/ with the real AWS provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "terraform"
PLUGINS: Final = Path("/opt/tf-plugins")
"""Where a computer without a registry has the provider."""
SECONDS: Final = 580.0
ALLOCATION: Final = "eipalloc-0123456789abcdef0"
"""Of the control plane's address, where there is no load balancer."""
NO_COLOR: Final = "-no-color"
COLORED: Final = frozenset({"apply", "destroy", "init", "plan", "test", "validate"})
"""Commands that print colours: not all of them heed NO_COLOR in the environment."""
OFFLINE: Final = """
provider "aws" {
  region                      = "us-west-2"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
"""


class TerraformFailed(Exception):
    """Its message is what Terraform said."""


@dataclass(frozen=True)
class Terraform:
    """A folder in which it runs."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str, allowed: Sequence[int] = (0,), seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """Run one command. Raises `TerraformFailed`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        quiet = {"NO_COLOR": "1", "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run(
            ["terraform", words[0], *((NO_COLOR,) if words[0] in COLORED else ()), *words[1:]],
            cwd=self.folder,
            env={**kept, **quiet, **self.environment},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode not in allowed:
            raise TerraformFailed(f"terraform {' '.join(words[:2])}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def outputs(self) -> dict[str, Any]:
        """The outputs of what was applied."""
        found = json.loads(self.run("output", "-json").stdout)
        return {name: each["value"] for name, each in found.items()}


def copied(folder: Path) -> Terraform:
    """terraform/ in a folder of its own, initialized. Skips the test where Terraform or the provider can't be had."""
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is missing: install 1.11 or newer, https://developer.hashicorp.com/terraform/install")
    shutil.copytree(SOURCE, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
    (folder / "src").symlink_to(ROOT / "src")
    return started(Terraform(folder / "terraform"))


def started(made: Terraform) -> Terraform:
    """A folder with the provider made ready in it. Skips the test where that can't be had."""
    where = (f"-plugin-dir={PLUGINS}",) if PLUGINS.is_dir() else ()
    try:
        made.run("init", "-input=false", "-backend=false", *where)
    except TerraformFailed as problem:
        if "validate" in str(problem) or "Error parsing" in str(problem):
            raise
        pytest.skip(f"The AWS provider can't be had: {str(problem)[-400:]}")
    return made


@dataclass(frozen=True)
class Found:
    """The account of which a plan is made without asking AWS: what Terraform would learn of it only once it is applied."""

    account: str = "123456789012"
    ami: str = "ami-0abcdef1234567890"
    vpc: str = "vpc-0123456789abcdef0"
    subnets: tuple[str, ...] = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
    security_group: str = "sg-0123456789abcdef0"
    template: str = "lt-0123456789abcdef0"
    listener: str = "arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/app/openclaw-1/0123456789abcdef/0123456789abcdef"
    repository: str = "123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw"
    dns_name: str = "openclaw-1-1.us-west-2.elb.amazonaws.com"


def cheapest() -> dict[str, Any]:
    """The variables of the cheapest deployment, as docs/cost.md lists them."""
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    return {name: json.loads(value) for name, value in re.findall(r"^    (\w+) += (.+)$", page, re.MULTILINE)}


def planned(terraform: Terraform, found: Found, **variables: object) -> dict[str, dict[str, Any]]:
    """What a plan would make, by address: the attributes that are known."""
    chosen = {"vpc_id": found.vpc, "subnet_ids": list(found.subnets), "ami_id": found.ami, "control_plane_ami_id": found.ami, **variables}
    tests = terraform.folder / "tests-of-python"
    tests.mkdir(exist_ok=True)
    values = "\n".join(f"    {name} = {json.dumps(value)}" for name, value in chosen.items())
    (tests / "plan.tftest.hcl").write_text(f'{_overrides(found)}\nrun "plan" {{\n  command = plan\n  variables {{\n{values}\n  }}\n}}\n')
    said = terraform.run("test", "-json", "-verbose", f"-test-directory={tests.name}", allowed=(0, 1)).stdout
    plans = [message["test_plan"] for message in _messages(said) if message.get("type") == "test_plan"]
    if not plans:
        problems = [message["diagnostic"] for message in _messages(said) if message.get("type") == "diagnostic"]
        raise TerraformFailed(json.dumps(problems, indent=1))
    return {each["address"]: each["change"]["after"] for each in plans[0]["resource_changes"] if each["change"]["after"]}


def _messages(said: str) -> Iterator[dict[str, Any]]:
    for line in said.splitlines():
        yield json.loads(line)


def _overrides(found: Found) -> str:
    arn = f"arn:aws:{{}}:us-west-2:{found.account}:{{}}"
    resources: dict[str, dict[str, str]] = {
        "aws_launch_template.machine": {"id": found.template, "arn": arn.format("ec2", f"launch-template/{found.template}")},
        "aws_security_group.machine": {
            "id": found.security_group,
            "arn": arn.format("ec2", f"security-group/{found.security_group}"),
        },
        "aws_lb.shard": {
            "arn": arn.format("elasticloadbalancing", "loadbalancer/app/openclaw-1/0123456789abcdef"),
            "dns_name": found.dns_name,
        },
        "aws_lb_listener.main": {"arn": found.listener},
        "aws_ecr_repository.this": {"arn": arn.format("ecr", "repository/openclaw"), "repository_url": found.repository},
        "aws_iam_role.machine": {"arn": f"arn:aws:iam::{found.account}:role/openclaw-machine"},
        "aws_cloudwatch_log_group.platform": {"arn": arn.format("logs", "log-group:/openclaw-hosted/openclaw/platform")},
        "aws_cloudwatch_log_group.gateways": {"arn": arn.format("logs", "log-group:/openclaw-hosted/openclaw/gateways")},
        "aws_sqs_queue.notices": {
            "arn": arn.format("sqs", "openclaw-notices"),
            "url": f"https://sqs.us-west-2.amazonaws.com/{found.account}/openclaw-notices",
        },
        "aws_eip.edge": {"arn": arn.format("ec2", f"elastic-ip/{ALLOCATION}"), "allocation_id": ALLOCATION, "public_ip": "192.0.2.10"},
        "aws_ebs_volume.platform": {"arn": arn.format("ec2", "volume/vol-0123456789abcdef0"), "id": "vol-0123456789abcdef0"},
    }
    data: dict[str, dict[str, str]] = {
        "data.aws_caller_identity.current": {"account_id": found.account},
        "data.aws_vpc.existing": {"cidr_block": "10.0.0.0/16"},
        "data.aws_subnet.control_plane": {"availability_zone": "us-west-2a"},
    }
    outputs = {"endpoint": "database:5432", "secret_arn": arn.format("secretsmanager", "secret:openclaw-platform/database-AbCdEf")}
    blocks = [OFFLINE, f"override_module {{\n  target = module.database\n  outputs = {_hcl(outputs)}\n}}"]
    for name, given in resources.items():
        blocks.append(f"override_resource {{\n  target = {name}\n  override_during = plan\n  values = {_hcl(given)}\n}}")
    for name, given in data.items():
        blocks.append(f"override_data {{\n  target = {name}\n  values = {_hcl(given)}\n}}")
    return "\n".join(blocks)


def _hcl(values: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items()) + " }"
