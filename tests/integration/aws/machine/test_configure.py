"""The image's program that writes configuration and credentials means the same as the platform's own Python."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from openclaw_hosted.adapters.aws.gateways import Inside
from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR
from openclaw_hosted.adapters.openclaw.config import SECRET_PROVIDER, merge_patch, render_config
from openclaw_hosted.adapters.openclaw.patches import PRUNED, encoded_patch
from openclaw_hosted.domain.gateway import Channel, GatewaySettings, GatewaySpec, ModelProvider
from openclaw_hosted.domain.naming import InstanceId, VolumeId

PLACES = Inside(lambda _: ("https://claw.example.com",), ("10.0.0.0/16",), "openclaw").places(InstanceId("oc-22222222"))
NAMES = some.sampled_from(["models", "providers", "channels", "gateway", "controlUi", "telegram", "custom", "a.b", "__proto__", "1", "é"])
REFERENCE = some.just({"source": "file", "provider": SECRET_PROVIDER, "id": "/x"})
LEAVES = some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.floats(-1e6, 1e6) | some.text()
VALUES = some.recursive(LEAVES | REFERENCE, lambda below: some.lists(below, max_size=3) | some.dictionaries(NAMES, below), max_leaves=12)
STANZAS = some.dictionaries(NAMES, VALUES | some.dictionaries(NAMES, REFERENCE | LEAVES))
DOCUMENTS = some.fixed_dictionaries(
    {}, optional={"channels": STANZAS | VALUES, "models": some.dictionaries(NAMES, STANZAS | VALUES) | VALUES}
)
SPECS = some.builds(
    GatewaySpec,
    some.just(InstanceId("oc-22222222")), some.just(1), some.just(VolumeId("vo-1")), some.just("image"),
    settings=some.builds(
        GatewaySettings, some.sampled_from(ModelProvider), some.sampled_from(["m", "google/m"]), some.just("https://h/v1"),
        some.frozensets(some.sampled_from(Channel)),
    ),
)  # fmt: skip

Configure = Callable[..., subprocess.CompletedProcess[str]]
many = settings(
    max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    environment = {"OPENCLAW_CONFIG_PATH": str(tmp_path / "openclaw.json"), "OPENCLAW_SECRETS_PATH": str(tmp_path / "secrets.json")}

    def run(config: str = "", answer: str = "") -> subprocess.CompletedProcess[str]:
        program = [str(NODE_DIR / "bin" / "node"), str(PLUGIN_DIR / "configure.mjs")]
        return subprocess.run(program, input=f"{config}\n{answer}", env=environment, capture_output=True, text=True, check=False)

    return run


def encoded(patch: Any, prune: Any = ()) -> str:
    return base64.b64encode(json.dumps({"patch": patch, "prune": list(prune)}).encode()).decode()


def answer(secret: str) -> str:
    return json.dumps({"ARN": "arn:aws:…", "SecretString": secret, "VersionStages": ["AWSCURRENT"]}, indent=2)


def written(configure: Configure, path: Path, existing: Any, config: str) -> Any:
    path.write_text(json.dumps(existing))
    done = configure(config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return json.loads(path.read_text())


@many
@given(spec=SPECS, existing=DOCUMENTS)
def test_the_platforms_settings_come_out_as_from_the_platform(
    configure: Configure, tmp_path: Path, spec: GatewaySpec, existing: dict[str, Any]
) -> None:
    assert written(configure, tmp_path / "openclaw.json", existing, encoded_patch(spec, PLACES)) == render_config(spec, PLACES, existing)


@many
@given(existing=some.dictionaries(NAMES, VALUES), patch=some.dictionaries(NAMES, VALUES))
def test_any_patch_is_merged_as_the_platform_merges(
    configure: Configure, tmp_path: Path, existing: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert written(configure, tmp_path / "openclaw.json", existing, encoded(patch)) == merge_patch(existing, patch)


def test_what_changes_nothing_leaves_the_file_alone(configure: Configure, tmp_path: Path) -> None:
    path = tmp_path / "openclaw.json"
    path.write_text('{"gateway":   {"port": 8080, "bind": "lan"}}')
    assert configure(encoded({"gateway": {"bind": "lan"}}, PRUNED)).returncode == 0
    assert path.read_text() == '{"gateway":   {"port": 8080, "bind": "lan"}}'


@pytest.mark.parametrize("content", ["", "not JSON", "[1]", "null", '{"a": 1'])
def test_a_configuration_that_can_not_be_read_is_begun_anew(configure: Configure, tmp_path: Path, content: str) -> None:
    (tmp_path / "openclaw.json").write_text(content)
    assert configure(encoded({"a": {"b": None, "c": 2}})).returncode == 0
    assert json.loads((tmp_path / "openclaw.json").read_text()) == {"a": {"c": 2}}


@pytest.mark.parametrize("trap", ["link", "pipe", "huge"])
def test_traps_of_a_tenant_are_replaced_not_followed(configure: Configure, tmp_path: Path, trap: str) -> None:
    path, other = tmp_path / "openclaw.json", tmp_path / "other.json"
    other.write_text('{"stolen": true}')
    if trap == "link":
        path.symlink_to(other)
    elif trap == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(json.dumps({"filler": "x" * 4_000_001}))
    assert configure(encoded({"a": 1})).returncode == 0
    assert json.loads(path.read_text()) == {"a": 1}
    assert not path.is_symlink()
    assert other.read_text() == '{"stolen": true}'


@given(secret=some.dictionaries(some.text(min_size=1), some.text(some.characters(codec="utf-8"))))
@many
def test_a_secret_of_any_characters_arrives_as_it_was(configure: Configure, tmp_path: Path, secret: dict[str, str]) -> None:
    wanted = {**secret, "gatewayToken": 'quote " backslash \\ line \n é 😀'}
    for ascii_only in (True, False):
        done = configure(answer=answer(json.dumps({**wanted, "platformRevision": 3}, ensure_ascii=ascii_only)))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert json.loads((tmp_path / "secrets.json").read_text()) == wanted


def test_the_secrets_file_is_a_new_one_that_only_its_owner_reads(configure: Configure, tmp_path: Path) -> None:
    path, other = tmp_path / "secrets.json", tmp_path / "other"
    other.write_text("{}")
    path.hardlink_to(other)
    assert configure(answer=answer('{"gatewayToken": "t"}')).returncode == 0
    facts = path.stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_nlink) == (0o600, 1)
    assert (other.read_text(), path.read_text()) == ("{}", '{\n "gatewayToken": "t"\n}\n')


@pytest.mark.parametrize(
    "body", ["no JSON with hunter22", '"hunter22"', answer("hunter22"), answer('["hunter22"]'), answer('{"platformRevision": 3}'), "{}"]
)
def test_an_answer_without_credentials_is_refused_and_not_repeated(configure: Configure, tmp_path: Path, body: str) -> None:
    done = configure(encoded({"a": 1}), body)
    assert (done.returncode, done.stdout) == (65, "")
    assert "hunter22" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", ["e30=", "bm9uc2Vuc2U=", "%%%", encoded([1])])
def test_a_configuration_without_a_patch_is_refused(configure: Configure, tmp_path: Path, config: str) -> None:
    assert configure(config).returncode == 65
    assert list(tmp_path.iterdir()) == []
