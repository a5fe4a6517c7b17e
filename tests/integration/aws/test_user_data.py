"""What a machine does at its first boot, as it is written down."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import subprocess

import pytest

from openclaw_hosted.adapters.aws.commands import machine_script
from openclaw_hosted.adapters.aws.gateways import Inside
from openclaw_hosted.adapters.aws.user_data import ID, MOST_BYTES, render_user_data
from openclaw_hosted.adapters.openclaw.config import render_config
from openclaw_hosted.adapters.openclaw.patches import PRUNED, encoded_patch
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, VolumeId, is_instance_id

IMAGE = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw@sha256:{'a' * 64}"
ORIGINS = ("https://claw.example.com", "https://@ID@.claw.example.com")
PROXIES = ("10.0.0.0/20", "10.0.16.0/20")


def origins_of(instance_id: InstanceId) -> list[str]:
    return [origin.replace("@ID@", instance_id) for origin in ORIGINS]


@pytest.fixture
def user_data() -> str:
    return render_user_data(IMAGE, ORIGINS, PROXIES, "openclaw")


def heredoc(user_data: str, after: str) -> str:
    found = re.search(rf"{re.escape(after)}.*<<'END'.*\n([\s\S]*?)\nEND\n", user_data)
    assert found is not None
    return found[1]


def test_it_fits_into_what_ec2_takes_whatever_is_filled_in() -> None:
    origins = [f"https://shard-{number}.claw.a-rather-long-name.example.com" for number in range(10)]
    proxies = [f"10.{number}.0.0/20" for number in range(6)]
    group = "/openclaw-hosted/a-long-deployment/gateways"
    rendered = render_user_data(IMAGE, origins, proxies, "a-long-deployment", group)
    assert rendered.startswith("#!/bin/bash\n")
    assert len(rendered.encode()) < MOST_BYTES - 1024
    assert rendered == render_user_data(IMAGE, origins, proxies, "a-long-deployment", group), "or launch templates would never settle"


def test_a_gateway_starts_with_the_configuration_that_the_platform_would_send(user_data: str) -> None:
    spec = GatewaySpec(InstanceId("oc-22222222"), 0, VolumeId("vo-22222222"), IMAGE)
    places = Inside(origins_of, PROXIES, "openclaw").places(spec.instance_id)
    known = json.loads(heredoc(user_data, "read -r CONFIG").replace(ID, "oc-22222222"))
    assert known == json.loads(base64.b64decode(encoded_patch(spec, places)))
    assert known == {"patch": render_config(spec, places, {}), "prune": list(PRUNED)}


def test_it_carries_the_script_that_commands_carry(user_data: str) -> None:
    assert gzip.decompress(base64.b64decode(heredoc(user_data, "base64 -d"))).decode() == machine_script()


def test_everything_is_filled_in_and_the_id_is_nobodys(user_data: str) -> None:
    assert re.findall(r"@[A-Z_]+@", user_data) == []
    assert f"IMAGE='{IMAGE}' SECRET='openclaw/{ID}' ID='{ID}' LOG=''" in user_data
    assert " LOG='/a/group' " in render_user_data(IMAGE, ORIGINS, PROXIES, "openclaw", "/a/group")
    assert not is_instance_id(ID)


def test_credentials_are_only_referred_to(user_data: str) -> None:
    tokens = [value for name, value in walk(json.loads(heredoc(user_data, "read -r CONFIG"))) if name.lower().endswith(("token", "apikey"))]
    assert len(tokens) == 2
    assert all(set(value) == {"source", "provider", "id"} for value in tokens)


@pytest.mark.parametrize("image", ["", "x'; reboot; '", "-v", "a b"])
def test_what_is_no_image_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match="not the address of an image"):
        render_user_data(image, ORIGINS, PROXIES, "openclaw")


@pytest.mark.parametrize("group", ["x'; reboot; '", "a b", "a:b", "x" * 513])
def test_what_is_no_log_group_is_refused(group: str) -> None:
    with pytest.raises(ValueError, match="not the name of a log group"):
        render_user_data(IMAGE, ORIGINS, PROXIES, "openclaw", group)


def test_shellcheck_has_nothing_to_say(user_data: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is missing: apt-get install shellcheck")
    done = subprocess.run(["shellcheck", "--exclude=SC1091", "-"], input=user_data, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def walk(value: object) -> list[tuple[str, dict[str, object]]]:
    """The objects below, with their names."""
    if isinstance(value, list):
        return [found for each in value for found in walk(each)]
    if not isinstance(value, dict):
        return []
    return [(name, each) for name, each in value.items() if isinstance(each, dict)] + [
        found for each in value.values() for found in walk(each)
    ]
