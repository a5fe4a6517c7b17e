"""What the platform writes into OpenClaw's configuration, and what it reads from its log."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from openclaw_hosted.adapters.openclaw.config import Places, merge_patch, primary_model, render_config, replaced_arrays, settings_patch
from openclaw_hosted.adapters.openclaw.logs import failure_since, readable, redact
from openclaw_hosted.domain.addresses import LocalModel, LocalModels
from openclaw_hosted.domain.gateway import Channel, GatewaySettings, GatewaySpec, ModelProvider
from openclaw_hosted.domain.naming import InstanceId, VolumeId

SPEC = GatewaySpec(InstanceId("oc-22222222"), 1, VolumeId("vo-22222222"), "2026.9.6")
PLACE = Places(20000, "loopback", "/s/secrets.json", "/s/log", "/plugin", ("127.0.0.1/32",), ("http://localhost",))


def with_settings(settings: GatewaySettings) -> GatewaySpec:
    return replace(SPEC, settings=settings)


def test_the_base_path_is_the_instances_id() -> None:
    assert render_config(SPEC, PLACE, {})["gateway"]["controlUi"]["basePath"] == "/oc-22222222"


def test_rendering_over_its_own_result_changes_nothing() -> None:
    spec = with_settings(GatewaySettings(ModelProvider.GOOGLE, channels=frozenset({Channel.TELEGRAM})))
    once = render_config(spec, PLACE, {})
    assert render_config(spec, PLACE, once) == once


def test_what_the_user_changed_in_openclaw_is_kept() -> None:
    own = {"models": {"providers": {"ollama": {"baseUrl": "http://mine"}}}, "agents": {"defaults": {"thinking": "high"}}}
    config = render_config(SPEC, PLACE, own)
    assert config["models"]["providers"]["ollama"] == {"baseUrl": "http://mine"}
    assert config["agents"]["defaults"]["thinking"] == "high"


NAMED = replace(SPEC, settings=GatewaySettings(ModelProvider.OPENAI), name="Ada's helper")


def named(config: Any) -> Any:
    return config.get("agents", {}).get("entries", {})


def test_the_assistant_bears_the_instances_name() -> None:
    assert named(render_config(NAMED, PLACE, {})) == {"main": {"identity": {"name": "Ada's helper"}}}
    assert named(render_config(SPEC, PLACE, {})) == {}


@pytest.mark.parametrize(
    "entries",
    [
        {"main": {"identity": {"name": "Marvin"}}},
        {"main": {"identity": {"name": ""}}},
        {"other": {"identity": {"emoji": "🤖"}}},
    ],
)
def test_a_name_that_its_user_gave_the_assistant_and_other_assistants_stay(entries: Any) -> None:
    assert named(render_config(NAMED, PLACE, {"agents": {"entries": entries}})) == entries


@pytest.mark.parametrize("agents", [[], {"entries": []}, {"entries": {"main": "x"}}, {"entries": {"main": {"identity": 1}}}])
def test_what_is_no_list_of_assistants_is_written_anew(agents: Any) -> None:
    assert named(render_config(NAMED, PLACE, {"agents": agents})) == {"main": {"identity": {"name": "Ada's helper"}}}


def test_a_name_alone_is_no_reason_to_change_the_configuration() -> None:
    unnamed = render_config(replace(NAMED, name=""), PLACE, {})
    assert merge_patch(unnamed, settings_patch(NAMED, PLACE, unnamed)) == unnamed


def test_what_earlier_settings_put_there_is_taken_away() -> None:
    before = render_config(
        with_settings(GatewaySettings(ModelProvider.COMPATIBLE, "m", "http://h/v1", frozenset({Channel.TELEGRAM}))), PLACE, {}
    )
    patch = settings_patch(SPEC, PLACE, before)
    assert patch["models"]["providers"]["custom"] is None
    assert patch["channels"] == {"telegram": None}
    assert replaced_arrays(before, patch) == ["models.providers.custom.models"]
    assert list(render_config(SPEC, PLACE, before)["models"]["providers"]) == ["echo"]


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        (GatewaySettings(), "echo/echo"),
        (GatewaySettings(ModelProvider.ANTHROPIC, "claude-haiku-4-5"), "anthropic/claude-haiku-4-5"),
        (GatewaySettings(ModelProvider.OPENROUTER, "openrouter/auto"), "openrouter/auto"),
        (GatewaySettings(ModelProvider.OPENROUTER, "acme/large"), "openrouter/acme/large"),
        (GatewaySettings(ModelProvider.COMPATIBLE, "custom/m", "http://h/v1"), "custom/custom/m"),
    ],
)
def test_a_model_is_named_with_its_provider(settings: GatewaySettings, model: str) -> None:
    assert primary_model(settings) == model


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("http://127.0.0.1:11434/v1", "http://172.18.0.1:11434/v1"),
        ("http://localhost:11434/v1/", "http://172.18.0.1:11434/v1/"),
        ("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234/v1"),
        ("http://192.168.1.7:11434/v1", "http://192.168.1.7:11434/v1"),
    ],
)
def test_a_model_of_this_computer_is_written_as_the_machine_reaches_it(address: str, written: str) -> None:
    places = replace(PLACE, local_models=LocalModels("172.18.0.1", [LocalModel("127.0.0.1", 11434)]))
    spec = with_settings(GatewaySettings(ModelProvider.COMPATIBLE, "m", address))
    assert render_config(spec, places, {})["models"]["providers"]["custom"]["baseUrl"] == written


def test_credentials_are_blotted_out_of_logs() -> None:
    text = "got sk-abcdefghijk and 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw and hunter22 at http://x/?token=abc Bearer zzz"
    clean = redact(text, ["hunter22", "at"])
    for secret in ("sk-abc", "AAHdq", "hunter22", "token=abc", "zzz"):
        assert secret not in clean
    assert " at http" in clean


def test_a_log_line_is_readable() -> None:
    line = json.dumps({"time": "2026-11-23T17:26:00.123Z", "level": "info", "subsystem": "gateway", "message": "gateway ready"})
    assert readable(line) == "2026-11-23 17:26:00 INFO [gateway] gateway ready"
    assert readable("plain") == "plain"


def test_a_line_of_the_log_file_reads_like_a_printed_one() -> None:
    about = {"runtime": "node", "logLevelName": "WARN", "name": '{"subsystem":"gateway"}'}
    line: dict[str, object] = {
        "0": "",
        "1": "slow",
        "_meta": about,
        "time": "2026-11-23T17:26:00.123Z",
        "hostname": "oc-22222222",
        "message": "slow",
    }
    assert readable(json.dumps(line)) == "2026-11-23 17:26:00 WARN [gateway] slow"
    line["_meta"] = {"logLevelName": "INFO", "name": "openclaw"}
    assert readable(json.dumps(line)) == "2026-11-23 17:26:00 INFO slow"
    odd: tuple[object, ...] = (None, [], {"name": "[1]"}, {"name": "{}"})
    for each in odd:
        assert readable(json.dumps({**line, "_meta": each})) == "2026-11-23 17:26:00  slow"


def test_the_log_file_stays_small_and_the_console_is_as_quiet_as_it_is_told() -> None:
    own = {"logging": {"consoleLevel": "debug", "maxFileBytes": 1 << 30, "redactSensitive": "tools"}}
    assert render_config(SPEC, PLACE, own)["logging"] == {
        "consoleStyle": "json", "consoleLevel": "debug", "file": "/s/log", "maxFileBytes": 4 << 20, "redactSensitive": "tools"
    }  # fmt: skip
    assert render_config(SPEC, replace(PLACE, console_level="warn"), own)["logging"]["consoleLevel"] == "warn"


def test_only_a_failure_of_this_start_counts() -> None:
    line = json.dumps({"time": "2026-11-23T17:26:00Z", "level": "error", "message": "Gateway failed to start: Invalid config"})
    at = 1795454760.0
    assert failure_since([line, "{}"], at) == "Gateway failed to start: Invalid config"
    assert failure_since([line], at + 60) is None
