"""terraform/ itself: its form, its plans, and the machines' user data against the package's own rendering."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.aws.user_data import MOST_BYTES, render_user_data
from openclaw_hosted.bootstrap.costs import deployment_of
from openclaw_hosted.domain.cost import projection
from openclaw_hosted.domain.plans import SMALL_CONTROL_PLANE
from openclaw_hosted.domain.prices import Kind
from openclaw_hosted.settings import Settings, Tls
from openclaw_hosted.settings_aws import AwsSettings
from openclaw_hosted.settings_operating import OperatingSettings
from scripts.gateway_config import TARGET, gateway_config
from tests.terraform.support import ALLOCATION, ROOT, SOURCE, Found, Terraform, cheapest, planned, started

pytestmark = pytest.mark.slow
DIGEST = f"sha256:{'a' * 64}"
CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
PACKED = re.compile(r'(?<=gzip -d >"\$HERE/openclaw-machine.sh" \|\| exit 9\n)[\s\S]*?(?=\nEND\n)')
CHECKOV = ["--directory", "terraform", "--config-file", "terraform/.checkov.yaml", "--output", "json", "--quiet", "--compact"]


def unpacked(user_data: str) -> str:
    """With the machine's script in the clear: two programs never compress alike."""
    found = PACKED.search(user_data)
    assert found is not None
    return PACKED.sub("", user_data).strip() + gzip.decompress(base64.b64decode(found[0])).decode()


def environment_of(script: str) -> dict[str, str]:
    """The platform's settings in the control plane's user data."""
    found = re.search(r"ENVIRONMENT=\$\(cat <<'END'\n([\s\S]*?)\nEND\n", script)
    assert found is not None
    return dict(line.split("=", 1) for line in found[1].splitlines())


def test_what_gateways_start_with_is_as_the_package_says() -> None:
    assert TARGET.read_text(encoding="utf-8") == gateway_config(), "run: make gateway-config"


@pytest.mark.parametrize(("file", "least"), [("variables.tf", 30), ("machine-image/variables.tf", 5)])
def test_every_variable_is_described_typed_and_checked(file: str, least: int) -> None:
    text = (SOURCE / file).read_text(encoding="utf-8")
    blocks = re.findall(r'^variable "(\w+)" \{\n([\s\S]*?)^\}', text, re.MULTILINE)
    assert len(blocks) > least
    for name, body in blocks:
        assert re.search(r'^  description = ".{10,}"', body, re.MULTILINE), name
        kind = re.search(r"^  type +=\s*(\S+)", body, re.MULTILINE)
        assert kind is not None, name
        assert kind[1] == "bool" or "validation {" in body, name


def test_every_check_that_is_left_out_has_its_reason() -> None:
    skipped = re.findall(r"^  - (\S+)(.*)$", (SOURCE / ".checkov.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert skipped
    assert all(re.fullmatch(r" # .{20,}", reason) for _, reason in skipped)


@pytest.mark.terraform
def test_it_is_formatted_and_valid(terraform: Terraform) -> None:
    assert terraform.run("fmt", "-check", "-recursive", str(SOURCE), allowed=(0, 3)).stdout == ""
    assert json.loads(terraform.run("validate", "-json").stdout)["diagnostics"] == []


@pytest.mark.terraform
def test_machines_boot_by_the_user_data_that_the_package_renders(terraform: Terraform) -> None:
    found = Found()
    variables = {
        "gateway_image": DIGEST, "certificate_arn": CERTIFICATE, "domain_names": ["claw.example.com"],
        "routing": "host", "instance_domain": "claw.example.com", "deployment_name": "a-long-deployment",
    }  # fmt: skip
    plan = planned(terraform, found, **variables)
    made = base64.b64decode(plan['aws_launch_template.machine["fleet"]']["user_data"]).decode()
    origins = ["https://claw.example.com", "https://@ID@.claw.example.com"]
    wanted = render_user_data(
        f"{found.repository}@{DIGEST}", origins, ["10.0.0.0/16"], "a-long-deployment", "/openclaw-hosted/a-long-deployment/gateways"
    )
    assert unpacked(made) == unpacked(wanted)
    assert len(made.encode()) <= MOST_BYTES


@pytest.mark.terraform
def test_machines_with_ipv6_only_pull_from_the_registrys_name_that_has_it(terraform: Terraform) -> None:
    plan = planned(terraform, Found(), machine_addresses="ipv6")
    made = base64.b64decode(plan['aws_launch_template.machine["fleet"]']["user_data"]).decode()
    assert "IMAGE='123456789012.dkr-ecr.us-west-2.on.aws/openclaw:latest'" in made
    script = base64.b64decode(plan["aws_launch_template.control_plane"]["user_data"]).decode()
    assert "ECR_REPOSITORY_URL=123456789012.dkr-ecr.us-west-2.on.aws/openclaw\n" in script
    assert "MACHINE_ADDRESSES=ipv6\n" in script


@pytest.mark.terraform
def test_the_control_planes_user_data_holds_its_settings_and_no_secret(terraform: Terraform) -> None:
    plan = planned(terraform, Found())
    script = base64.b64decode(plan["aws_launch_template.control_plane"]["user_data"]).decode()
    assert script.startswith("#!/bin/bash\n")
    given = environment_of(script)
    assert AwsSettings(**given).fleet_template == Found().template  # type: ignore[arg-type]
    assert "DATABASE_URL" not in given
    assert not [name for name in given if name.startswith("OTEL_")], "without a collector there is nothing to send"
    assert "--log-opt mode=non-blocking" in script, "else OpenClaw Hosted stands still while CloudWatch can't be reached"
    assert "DATABASE_SECRET='arn:aws:secretsmanager:" in script
    assert len(script.encode()) <= MOST_BYTES
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""


@pytest.mark.terraform
@pytest.mark.parametrize("endpoint", ["https://otlp.example.com", "http://[2001:db8::7]:4318/v1"])
def test_the_control_plane_knows_its_collector_and_reads_the_headers_from_the_secret(terraform: Terraform, endpoint: str) -> None:
    secret = "arn:aws:secretsmanager:us-west-2:123456789012:secret:settings-AbCdEf"
    plan = planned(terraform, Found(), otlp_endpoint=endpoint, settings_secret=secret)
    script = base64.b64decode(plan["aws_launch_template.control_plane"]["user_data"]).decode()
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n" in script
    assert f"SETTINGS_SECRET='{secret}'" in script
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in script
    assert OperatingSettings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}).otlp_endpoint == endpoint


@pytest.mark.terraform
def test_without_a_load_balancer_the_control_plane_is_told_of_its_address_and_of_no_listener(terraform: Terraform) -> None:
    plan = planned(terraform, Found(), load_balancer_count=0, database="sqlite", domain_names=["claw.example.com"])
    script = base64.b64decode(plan["aws_launch_template.control_plane"]["user_data"]).decode()
    given = environment_of(script)
    aws = AwsSettings(**given)  # type: ignore[arg-type]
    assert (aws.has_balancers, aws.listeners, aws.public_url) == (False, (), "https://claw.example.com")
    settings = Settings(**given)  # type: ignore[arg-type]
    assert (settings.tls, settings.port, settings.http_port, settings.host) == (Tls.ACME, 443, 80, "0.0.0.0")  # noqa: S104 - it is asked for
    assert f"ADDRESS='{ALLOCATION}'" in script
    made = base64.b64decode(plan['aws_launch_template.machine["fleet"]']["user_data"]).decode()
    assert '"https://claw.example.com"' in made


@pytest.mark.terraform
def test_the_cheapest_deployment_of_the_documentation_is_planned_as_it_stands_there_and_costs_what_is_said(terraform: Terraform) -> None:
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    plan = planned(terraform, Found(), **cheapest())
    control_plane = plan["aws_launch_template.control_plane"]
    given = environment_of(base64.b64decode(control_plane["user_data"]).decode())
    settings = Settings(**given)  # type: ignore[arg-type]
    deployment = deployment_of(settings, AwsSettings(**given))  # type: ignore[arg-type]
    assert control_plane["instance_type"] == "t3.micro"
    made = replace(deployment, prices={Kind.CONTROL_PLANE_MACHINE: SMALL_CONTROL_PLANE})
    assert f"| **together** | **{projection(10, settings.spares, made).total_usd:.2f}** |" in page


@pytest.mark.terraform
def test_the_plans_of_the_main_sets_of_variables_are_as_its_own_tests_say(terraform: Terraform) -> None:
    assert "Success! 21 passed, 0 failed." in terraform.run("test").stdout


@pytest.mark.long  # a folder of its own, made ready and planned by itself: nine seconds of processor time
@pytest.mark.terraform
def test_the_machine_image_is_valid_and_planned_as_its_own_tests_say(terraform: Terraform) -> None:
    image = started(Terraform(terraform.folder / "machine-image"))
    assert json.loads(image.run("validate", "-json").stdout)["diagnostics"] == []
    assert "Success! 4 passed, 0 failed." in image.run("test").stdout


@pytest.mark.terraform
def test_a_wrong_value_is_told_with_the_way_out(terraform: Terraform) -> None:
    with pytest.raises(Exception, match="Give at most 18 lower-case letters"):
        planned(terraform, Found(), deployment_name="Nope")


@pytest.mark.long
@pytest.mark.terraform
def test_checkov_finds_nothing_but_what_is_excepted_with_a_reason() -> None:
    checkov = ROOT / ".cache" / "checkov" / "bin" / "checkov"
    if not checkov.is_file():
        pytest.skip("checkov is missing: make checkov")
    done = subprocess.run([str(checkov), *CHECKOV], cwd=ROOT, capture_output=True, text=True)
    report = json.loads(done.stdout)
    failed = [f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in report["results"]["failed_checks"]]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 50
