"""`diagnose`, `alarms` and `instances logs` on the command line."""

from __future__ import annotations

from tests.integration.cli.conftest import Cli


def test_an_instance_that_waits_is_explained(with_admin: Cli) -> None:
    made = with_admin("instances", "create", "First look", "--json").json["id"]
    told = with_admin("diagnose", "First look")
    assert told.code == 1, told.stderr
    assert "it waits for a machine" in told.stdout
    assert "Likely cause: No machine is free yet" in told.stderr
    assert "docs/runbooks/pool-depleted.md" in told.stderr
    same = with_admin("diagnose", made, "--json")
    assert (same.code, same.json["cause"]) == (1, "waits_for_machine")


def test_what_there_is_not_is_not_found(with_admin: Cli) -> None:
    for subject in ("oc-22222222", "mc-22222222", "nobody", "mc-../x"):
        assert with_admin("diagnose", subject).code == 3


def test_a_wish_for_log_lines_that_makes_no_sense_is_wrong_usage(with_admin: Cli) -> None:
    with_admin("instances", "create", "First look")
    refused = with_admin("instances", "logs", "First look", "--since", "yesterday")
    assert refused.code == 2
    assert "15m" in refused.stderr
    assert with_admin("instances", "logs", "First look", "--since", "15m", "--level", "error", "--search", "x").code == 0
    assert with_admin("instances", "logs", "First look", "--level", "loud").code == 2


def test_alarms_are_listed_and_it_is_said_that_nobody_is_told(with_admin: Cli) -> None:
    told = with_admin("alarms", "list")
    assert told.code == 0, told.stderr
    assert "pool-depleted" in told.stdout
    assert "set ALARM_EMAIL" in told.stderr
    assert with_admin("alarms", "list", "--json").json["channels"] == []
    assert with_admin("alarms", "test", "--json").json == {"items": []}


def test_too_few_arrivals_give_no_advice(with_admin: Cli) -> None:
    assert "too few" in with_admin("pool", "advise").stderr
    assert with_admin("pool", "advise", "--json").json == {"policy": "fixed", "sentence": None, "advice": None, "learned": None}
