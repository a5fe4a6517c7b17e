"""The command line against a data directory of its own: real services, real database, no platform running."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
import structlog

from openclaw_hosted import bootstrap
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.datadir import prepare
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.ports.stores import NewMachine
from openclaw_hosted.ports.volumes import LargeVolume
from openclaw_hosted.store import open_store
from openclaw_hosted.store.migrate import migrate
from tests.integration.cli.conftest import ADMIN, PASSWORD, Cli
from tests.support.receiver import receiving

COMMANDS = [
    ("up",), ("serve",), ("down",), ("adopt",), ("status",), ("doctor",), ("version",), ("cost",),
    ("diagnose",), ("support-bundle",), *(("cost", name) for name in ("usage", "compare", "refresh")),
    *(("alarms", name) for name in ("list", "test")),
    *(("senders", name) for name in ("list", "approve", "dismiss")),
    *(("instances", name) for name in ("create", "list", "show", "open", "logs", "restart", "delete", "restore", "retry", "hold")),
    *(("machines", name) for name in ("list", "show", "interrupt", "drain", "retire")),
    *(("pool", name) for name in ("show", "replenish", "pause", "resume", "set", "reset", "advise")),
    *(("users", name) for name in ("list", "create", "invite", "reset-link", "disable", "enable", "role")),
    *(("tokens", name) for name in ("create", "list", "revoke")),
    *(("webhooks", name) for name in ("list", "create", "delete", "test", "enable", "deliveries")),
    ("news", "mail"),
    *(("migrate", name) for name in ("plan", "run", "status", "rollback", "decommission")),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(cli: Cli, command: tuple[str, ...]) -> None:
    shown = cli.bare(*command, "--help")
    assert shown.code == 0
    assert "Usage: openclaw-hosted " + " ".join(command) in shown.stdout


def test_no_command_takes_a_key_as_an_argument(cli: Cli) -> None:
    options = cli.bare("instances", "create", "--help").stdout
    assert "--api-key-stdin" in options
    assert "--api-key-file" in options
    assert "--api-key " not in options


def test_an_unknown_command_is_wrong_usage(cli: Cli) -> None:
    assert cli.bare("dance").code == 2


def test_the_version_names_the_openclaw_that_it_runs(cli: Cli) -> None:
    assert set(cli.bare("version", "--json").json) == {"openclaw_hosted", "openclaw", "python"}


def test_an_instance_is_created_listed_shown_and_deleted(with_admin: Cli) -> None:
    made = with_admin("instances", "create", "First look", "--json")
    assert made.code == 0, made.stderr
    instance_id = made.json["id"]
    assert made.json["phase"] == "pending"
    assert [item["id"] for item in with_admin("instances", "list", "--json").json["items"]] == [instance_id]
    assert f"http://localhost:8080/{instance_id}/" in with_admin("instances", "list").stdout
    assert with_admin("instances", "list", "--status", "failed").stdout == "No instance is in the state 'failed'.\n"
    assert with_admin("instances", "show", "First look", "--json").json["id"] == instance_id
    assert instance_id in with_admin("instances", "show", instance_id).stdout
    deleted = with_admin("instances", "delete", instance_id, "--yes", "--json")
    assert deleted.json["phase"] == "deleting"


def test_a_webhook_is_made_tried_and_deleted(with_admin: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = with_admin("webhooks", "create", "http://127.0.0.1:1/")
    assert (refused.code, "https://" in refused.stderr) == (2, True)
    monkeypatch.setenv("ALLOW_PRIVATE_WEBHOOKS", "true")
    with receiving() as receiver:
        made = with_admin("webhooks", "create", receiver.url, "--event", "instance.failed", "--all")
        [item] = with_admin("webhooks", "list", "--json").json["items"]
        tried = with_admin("webhooks", "test", item["id"])
        receiver.status = 500
        failed = with_admin("webhooks", "test", item["id"])
    assert made.stdout.startswith("whsec_")
    assert (item["url"], item["events"], item["all_instances"], item["enabled"]) == (receiver.url, ["instance.failed"], True, True)
    assert (tried.code, receiver.types[0]) == (0, "webhook.test")
    assert receiver.got[0].is_signed_with(made.stdout.strip())
    assert (failed.code, "answered 500" in failed.stderr) == (1, True)
    deliveries = with_admin("webhooks", "deliveries", item["id"]).stdout
    assert "answered 500" in deliveries
    assert "Webhook test" in deliveries
    assert with_admin("webhooks", "enable", item["id"]).code == 0
    assert with_admin("webhooks", "delete", item["id"]).code == 0
    assert with_admin("webhooks", "delete", item["id"]).code == 3


def test_news_by_e_mail_is_turned_on_and_off(with_admin: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_admin("news", "mail").stderr == "News by e-mail is off. The platform has no mail server: its operator sets SMTP_URL.\n"
    refused = with_admin("news", "mail", "on")
    assert (refused.code, "no mail server" in refused.stderr) == (5, True)
    monkeypatch.setenv("SMTP_URL", "smtp://localhost:1")
    monkeypatch.setenv("ALARM_EMAIL_FROM", "claw@example.com")
    assert with_admin("news", "mail", "on", "--json").json == {"on": True, "possible": True}
    assert with_admin("news", "mail").stderr == "News by e-mail is on.\n"
    assert with_admin("news", "mail", "off").stderr == "News by e-mail is off.\n"


def test_deleting_without_a_terminal_asks_for_yes(with_admin: Cli) -> None:
    instance_id = with_admin("instances", "create", "Keep me", "--json").json["id"]
    refused = with_admin("instances", "delete", instance_id)
    assert refused.code == 2
    assert "--yes" in refused.stderr
    assert with_admin("instances", "show", instance_id, "--json").json["phase"] == "pending"


def test_a_key_is_read_from_standard_input_and_never_printed(with_admin: Cli) -> None:
    key = "sk-ant-0123456789abcdef"
    made = with_admin("instances", "create", "Work", "--provider", "anthropic", "--api-key-stdin", "--json", stdin=key + "\n")
    assert made.code == 0, made.stderr
    assert made.json["credentials"] == ["modelApiKey"]
    assert key not in made.stdout + made.stderr
    database = b"".join(path.read_bytes() for path in with_admin.data_dir.glob("platform.sqlite*"))
    assert key.encode() not in database


def test_a_key_is_read_from_a_file(with_admin: Cli, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-ant-0123456789abcdef\n")
    made = with_admin("instances", "create", "Work", "--provider", "anthropic", "--api-key-file", str(tmp_path / "key"), "--json")
    assert made.json["credentials"] == ["modelApiKey"]


def test_a_key_with_a_line_break_is_refused_without_being_repeated(with_admin: Cli) -> None:
    refused = with_admin("instances", "create", "Work", "--provider", "openai", "--api-key-stdin", stdin="sk-first\nsecond-part")
    assert refused.code == 2
    assert "one word" in refused.stderr
    assert "second-part" not in refused.stderr


def test_a_model_at_an_address_of_ones_own_is_not_asked_for_a_key(with_admin: Cli) -> None:
    address = ("--base-url", "http://192.168.1.7:11434/v1", "--model", "llama")
    made = with_admin("instances", "create", "Home", "--provider", "compatible", *address, "--json")
    assert made.json["credentials"] == []
    assert with_admin("instances", "show", "Home", "--json").json["id"] == made.json["id"]


def test_a_missing_key_says_how_to_give_it(with_admin: Cli) -> None:
    refused = with_admin("instances", "create", "Work", "--provider", "openai")
    assert refused.code == 2
    assert "--api-key-stdin" in refused.stderr
    assert "--api-key-file" in refused.stderr
    empty = with_admin("instances", "create", "Work", "--provider", "openai", "--api-key-stdin")
    assert (empty.code, "standard input is empty" in empty.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "listing"),
    [
        (("machines", "show", "nothing"), "machines list"),
        (("diagnose", "oc-nothing"), "instances list --all"),
        (("tokens", "revoke", "nothing"), "tokens list"),
        (("instances", "list", "--owner", "nobody@example.com"), "users list"),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, tuple) else "",
)
def test_what_does_not_exist_is_answered_with_the_command_that_lists_what_does(
    with_admin: Cli, command: tuple[str, ...], listing: str
) -> None:
    refused = with_admin(*command)
    assert refused.code == 3
    assert refused.stderr.rstrip().endswith(f"openclaw-hosted {listing}")


@pytest.mark.parametrize("command", ["backup", "support-bundle"])
def test_a_file_in_a_folder_that_does_not_exist_is_refused_with_a_way_out(with_admin: Cli, tmp_path: Path, command: str) -> None:
    refused = with_admin(command, str(tmp_path / "missing" / "file.tar.gz"))
    assert refused.code in (2, 5)
    assert "hoose another place" in refused.stderr


@pytest.mark.parametrize("name", ["", "x" * 500, "two\nlines"])
def test_a_name_that_can_not_serve_is_refused(with_admin: Cli, name: str) -> None:
    refused = with_admin("instances", "create", name)
    assert refused.code == 2
    assert refused.stderr.startswith("openclaw-hosted: name")


@pytest.mark.parametrize("instance", ["oc-22222222", "oc-../../etc", "../platform.sqlite", "no such name"])
def test_an_unknown_instance_is_not_found(with_admin: Cli, instance: str) -> None:
    assert with_admin("instances", "show", instance).code == 3


def test_two_instances_of_one_name_are_told_apart_by_id(with_admin: Cli) -> None:
    for _ in range(2):
        with_admin("instances", "create", "Twin")
    refused = with_admin("instances", "show", "Twin")
    assert refused.code == 5
    assert "Use the id" in refused.stderr


def test_an_instance_that_does_not_run_can_not_be_opened(with_admin: Cli) -> None:
    instance_id = with_admin("instances", "create", "Waits", "--json").json["id"]
    assert with_admin("instances", "open", instance_id).code == 5


def test_waiting_ends_with_a_hint_when_nothing_moves(with_admin: Cli) -> None:
    waited = with_admin("instances", "create", "Waits", "--wait", "--timeout", "1")
    assert waited.code == 1
    assert "“Waiting for a machine”" in waited.stderr


def test_the_same_idempotency_key_makes_one_instance(with_admin: Cli) -> None:
    ids = {with_admin("instances", "create", "Once", "--idempotency-key", "k1", "--json").json["id"] for _ in range(2)}
    assert len(ids) == 1
    assert with_admin("instances", "create", "Other", "--idempotency-key", "k1").code in (2, 5)


def test_without_an_account_the_way_out_is_named(cli: Cli) -> None:
    prepare(cli.data_dir)
    asyncio.run(migrate(f"sqlite:///{cli.data_dir}/platform.sqlite"))
    refused = cli("instances", "create", "Too early")
    assert refused.code == 3
    assert "users create" in refused.stderr


def test_another_user_sees_nothing_of_the_first(with_admin: Cli) -> None:
    with_admin("users", "create", "other@example.com", "--password-stdin", stdin=PASSWORD)
    instance_id = with_admin("instances", "create", "Mine", "--json").json["id"]
    assert with_admin("instances", "list", "--user", "other@example.com", "--json").json["items"] == []
    assert with_admin("instances", "show", instance_id, "--user", "other@example.com").code == 3


def test_acting_as_someone_unknown_is_not_found(with_admin: Cli) -> None:
    assert with_admin("instances", "list", "--user", "nobody@example.com").code == 3


def test_the_pool_is_shown_paused_resumed_and_set(with_admin: Cli) -> None:
    assert with_admin("pool", "show", "--json").json["spares_wanted"] == 2
    assert with_admin("pool", "pause", "--json").json["paused"] is True
    assert with_admin("pool", "resume", "--json").json["paused"] is False
    assert with_admin("pool", "set", "5", "--json").json["spares_wanted"] == 5
    assert with_admin("pool", "replenish").code == 0
    assert with_admin("pool", "set", "100000").code == 2
    assert "0 of 5" in with_admin("pool", "show").stdout
    assert with_admin("pool", "reset", "--json").json["spares_wanted"] == 2


def test_an_operator_holds_a_placement_and_has_it_retried(with_admin: Cli) -> None:
    made = with_admin("instances", "create", "Waits", "--json").json
    assert "is held" in with_admin("instances", "hold", made["id"]).stderr
    assert with_admin("instances", "hold", made["id"]).code == 5
    assert with_admin("instances", "retry", made["id"], "--json").json["phase"] == "replacing"
    assert with_admin("instances", "retry", "../pool").code == 3


def test_machines_are_listed_and_an_unknown_one_is_not_found(with_admin: Cli) -> None:
    assert with_admin("machines", "list", "--json").json == {"items": []}
    assert with_admin("machines", "show", "../pool").code == 3
    assert with_admin("machines", "drain", "mc-unknown2").code == 3
    assert with_admin("machines", "interrupt", "mc-unknown2", "--kind", "earthquake").code == 2


def test_several_are_looked_at_then_held_with_what_became_of_each(with_admin: Cli) -> None:
    made = [with_admin("instances", "create", name, "--json").json["id"] for name in ("One", "Two")]
    looked = with_admin("instances", "hold", "--all-matching", "--status", "pending", "--dry-run", "--json")
    assert (looked.code, {each["id"] for each in looked.json["items"]}) == (0, set(made))
    refused = with_admin("instances", "hold", "--all-matching")
    assert (refused.code, "2 instances" in refused.stderr, "--dry-run" in refused.stderr) == (2, True, True)
    held = with_admin("instances", "hold", *made, "oc-22222222", "--yes")
    assert held.code == 1
    assert "held until" in held.stdout
    assert "not there any more" in held.stdout
    assert "2 of 3 were held." in held.stderr
    retried = with_admin("instances", "retry", "--all-matching", "--status", "failed", "--owner", ADMIN, "--yes", "--json")
    assert (retried.code, [each["problem"] for each in retried.json["items"]]) == (0, [None, None])
    assert "None is like that." in with_admin("instances", "hold", "--all-matching", "--status", "failed", "--yes").stdout


def test_machines_are_narrowed_drained_and_retired_several_at_once(with_admin: Cli) -> None:
    spares = ["mc-22222222", "mc-33333333", "mc-44444444"]
    for spare in spares:
        asyncio.run(add_machine(with_admin.data_dir, spare))
    listed = with_admin("machines", "list", "--state", "available", "--json").json["items"]
    assert sorted(each["id"] for each in listed) == spares
    assert [each["id"] for each in with_admin("machines", "list", "--search", "3333", "--json").json["items"]] == ["mc-33333333"]
    assert len(with_admin("machines", "list", "--limit", "1", "--json").json["items"]) == 1
    would = with_admin("machines", "drain", "--all-matching", "--search", "3333", "--dry-run")
    assert (would.code, "would drain" in would.stdout, "1 of 1 would be drained." in would.stderr) == (0, True, True)
    assert with_admin("machines", "drain", "--all-matching", "--search", "3333", "--yes").code == 0
    assert "ends" in with_admin("machines", "retire", "mc-22222222").stderr
    assert with_admin("machines", "retire", "--all-matching", "--yes", "--json").json["items"][0]["id"] == "mc-44444444"
    assert with_admin("machines", "list", "--state", "available", "--json").json["items"] == []


@pytest.mark.parametrize("words", [(), ("mc-22222222", "--all-matching"), ("mc-22222222", "--search", "x")], ids=" ".join)
def test_which_machines_are_meant_has_to_be_clear(with_admin: Cli, words: tuple[str, ...]) -> None:
    assert with_admin("machines", "drain", *words).code == 2


def test_a_machine_is_drained_and_then_interrupted(with_admin: Cli) -> None:
    asyncio.run(add_machine(with_admin.data_dir, "mc-22222222"))
    drained = with_admin("machines", "drain", "mc-22222222")
    assert (drained.code, "the pool makes another machine" in drained.stderr) == (0, True)
    assert "terminating (drain)" in with_admin("machines", "list").stdout
    again = with_admin("machines", "interrupt", "mc-22222222", "--kind", "rebalance", "--json")
    assert (again.code, again.json["notice"]) == (0, "drain")


async def add_machine(data_dir: Path, name: str) -> None:
    """A spare, as a platform would have left it."""
    store = await open_store(f"sqlite:///{data_dir / 'platform.sqlite'}")
    own = name.removeprefix("mc-")
    new = NewMachine(MachineId(name), InstanceId(f"oc-{own}"), VolumeId(f"vol-{own}"), "v1", Warmth.BOOTED)
    await store.machines.add([new], 10, 1.0)
    await store.machines.update(MachineId(name), partial(lifecycle.become_ready, now=2.0, address="127.0.0.1:9", zone=""))
    await store.aclose()


def test_users_are_invited_disabled_and_enabled(with_admin: Cli) -> None:
    link = with_admin("users", "invite", "friend@example.com").stdout.strip()
    assert link.startswith("http://localhost:8080/invite/")
    with_admin("users", "create", "other@example.com", "--password-stdin", stdin=PASSWORD)
    assert with_admin("users", "reset-link", "other@example.com").stdout.startswith("http://localhost:8080/reset/")
    assert with_admin("users", "disable", "other@example.com", "--json").json["disabled"] is True
    assert with_admin("users", "enable", "other@example.com", "--json").json["disabled"] is False
    assert with_admin("users", "role", "other@example.com", "admin", "--json").json["role"] == "admin"
    assert with_admin("users", "role", "other@example.com", "user", "--json").json["role"] == "user"
    assert with_admin("users", "role", ADMIN, "user").code == 5
    assert with_admin("users", "disable", ADMIN).code == 5
    assert with_admin("users", "disable", "nobody@example.com").code == 3
    assert {item["email"] for item in with_admin("users", "list", "--json").json["items"]} == {ADMIN, "other@example.com"}


def test_a_taken_address_and_a_short_password_are_refused(with_admin: Cli) -> None:
    assert with_admin("users", "create", ADMIN, "--password-stdin", stdin=PASSWORD).code == 5
    short = with_admin("users", "create", "new@example.com", "--password-stdin", stdin="short")
    assert short.code == 2
    assert "characters" in short.stderr


def test_a_token_is_made_listed_and_revoked(with_admin: Cli) -> None:
    made = with_admin("tokens", "create", "--user", ADMIN, "--label", "laptop", "--json").json
    assert made["token"].startswith("ochs_")
    listed = with_admin("tokens", "list", "--json")
    assert [item["label"] for item in listed.json["items"]] == ["laptop"]
    assert made["token"] not in listed.stdout
    assert with_admin("tokens", "revoke", made["id"]).code == 0
    assert with_admin("tokens", "revoke", made["id"]).code == 3


def test_a_platform_that_does_not_run_is_said_not_to_run(with_admin: Cli) -> None:
    shown = with_admin("status", "--json")
    assert shown.code == 6
    assert shown.json["running"] is False


def test_the_status_says_who_fills_the_disk_and_what_to_do(with_admin: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crowding(_: LocalVolumes) -> list[LargeVolume]:
        return [LargeVolume(VolumeId("v-22222222"), InstanceId("oc-22222222"), 41_200_000_000, 800_000_000)]

    monkeypatch.setattr(LocalVolumes, "crowding", crowding)
    shown = with_admin("status")
    assert "oc-22222222: 41.2 GB of the disk that all share, which has 0.8 GB left" in " ".join(shown.stdout.split())
    assert "Ask its user to delete files" in " ".join(shown.stdout.split())


def test_the_status_of_a_directory_that_does_not_exist_makes_none(cli: Cli) -> None:
    assert cli("status").code == 6
    assert not cli.data_dir.exists()


def test_stopping_what_does_not_run_is_done_at_once(with_admin: Cli) -> None:
    stopped = with_admin("down")
    assert stopped.code == 0
    assert "Nothing runs" in stopped.stderr


def test_the_doctor_looks_at_all_that_is_needed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACHINES", "process")
    checks = {item["check"]: item for item in cli("doctor", "--json").json["items"]}
    assert {"python", "node", "openclaw", "caddy", "port", "memory", "disk", "data directory", "machines", "database"} <= set(checks)
    assert all(item["fix"] for item in checks.values() if item["verdict"] == "problem")
    assert checks["machines"]["verdict"] == "warning"


def test_a_platform_elsewhere_needs_a_token(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_HOSTED_URL", "http://127.0.0.1:9")
    missing = cli.bare("pool", "show")
    assert missing.code == 2
    assert "OPENCLAW_HOSTED_TOKEN" in missing.stderr
    monkeypatch.setenv("OPENCLAW_HOSTED_TOKEN", "ochs_x")
    silent = cli.bare("pool", "show")
    assert silent.code == 6
    assert "does not answer" in silent.stderr


def test_a_projection_of_costs_needs_no_platform(cli: Cli) -> None:
    planned = cli.bare("cost", "--users", "10", "--json")
    assert planned.code == 0, planned.stderr
    assert (planned.json["users"], round(planned.json["total_usd"], 2)) == (10, 193.47)
    assert "for each user" in cli.bare("cost", "--users", "10", "--spares", "2").stdout
    assert not cli.data_dir.exists()


def test_the_price_of_a_machine_is_the_operators(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOT_PRICE_PER_HOUR", "0.01")
    assert "on Spot: 3 × $0.01 an hour" in cli.bare("cost", "--users", "1").stdout
    monkeypatch.setenv("SPOT_PRICE_PER_HOUR", "free")
    refused = cli.bare("cost", "--users", "1")
    assert refused.code == 2
    assert "SPOT_PRICE_PER_HOUR" in refused.stderr


def test_on_this_computer_machines_cost_nothing(with_admin: Cli) -> None:
    told = with_admin("cost")
    assert told.code == 0, told.stderr
    assert told.stdout.startswith("Machines here cost nothing; on AWS,")
    assert "together" in told.stdout
    assert with_admin("cost", "--json").json["now"] is None


def test_spares_alone_are_no_plan(cli: Cli) -> None:
    refused = cli.bare("cost", "--spares", "3")
    assert refused.code == 2
    assert "--users" in refused.stderr


def test_what_a_command_prints_is_its_own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def build(*_: object) -> tuple[str, int]:
        structlog.get_logger("aws").debug("call failed", call="ec2:CreateFleet")
        structlog.get_logger("aws").warning("call refused", call="ec2:CreateFleet")
        return "tag", 0

    monkeypatch.setattr(bootstrap, "build_image", build)
    built = cli("image", "--json")
    assert built.json == {"image": "tag", "bytes": 0}
    assert "call failed" not in built.stderr
    assert "call refused" in built.stderr


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_both_ways_to_ask_for_help_are_taken_everywhere(cli: Cli, asked: str) -> None:
    assert "Usage: openclaw-hosted pool show" in cli.bare("pool", "show", asked).stdout
    assert "Exit codes" in cli.bare(asked).stdout


def test_the_version_is_an_option_too(cli: Cli) -> None:
    asked = cli.bare("--version")
    assert (asked.code, asked.stdout) == (0, cli.bare("version").stdout)
