"""Each benchmark runs, with tiny numbers: what it says of speed is not looked at here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench import console, control_plane, creates, edge, harness, jupyterhub, lists, pool
from bench.peers import wrk
from tests.support.postgres import NoPostgres, find_binaries, unprivileged_user
from tests.support.stand_in import install_stand_in

pytestmark = pytest.mark.slow
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed (apt-get install wrk)")


def test_the_control_planes_cost_is_told(tmp_path: Path) -> None:
    install_stand_in(tmp_path / "data")
    result = control_plane.measure(tmp_path / "data", idle_seconds=0.1)
    assert 0 < result["control_plane_pss_mb"] <= result["control_plane_rss_mb"]
    assert len(control_plane.rows(result)) == 6


def test_creates_are_counted_on_sqlite() -> None:
    result = creates.measure("sqlite", seconds=0.2, rate=10)
    assert result["accepted"] > 0
    assert result["converged_per_second"] > 0
    assert len(creates.rows({"sqlite": result})) == 3


@pytest.mark.postgres
@pytest.mark.long
def test_creates_are_counted_on_postgres() -> None:
    try:
        find_binaries(), unprivileged_user()
    except NoPostgres as error:
        pytest.skip(str(error))
    assert creates.measure("postgres", seconds=0.2, rate=10)["accepted"] > 0


async def test_the_pool_loop_is_timed(tmp_path: Path) -> None:
    result = await pool.measure(tmp_path, machines=200, ticks=2)
    assert result["assigned"] == 200 - pool.SPARES + 1
    assert len(pool.rows(result)) == 3


def test_pages_of_lists_are_timed() -> None:
    result = lists.measure("sqlite", instances=200, times=1)
    assert all(page["items"] > 0 for page in result.values())
    assert len(lists.rows({"sqlite": result})) == len(result) + 2


def test_pages_of_the_console_are_timed() -> None:
    result = console.measure("sqlite", console.plan(users=60, days=3), times=1)
    assert {"overview, 24 hours", "a machine", "an instance"} <= result.keys()
    assert all(0 < page["page_kb"] < page["first_view_kb"] for page in result.values())
    assert len(console.rows_of(result)) == len(result) + 1


@needs_wrk
async def test_both_edges_are_measured() -> None:
    sizes = edge.Sizes(seconds=1, rounds=1, busy_routes=5, routes=10, additions=4, at_once=2, changes=10)
    result = await edge.measure(sizes)
    assert result["changes"]["sockets_lost"] == 0
    assert result["one_route"]["ours_requests_per_second"] > 0
    assert len(edge.rows(result)) == 10


@needs_wrk
def test_answers_that_are_errors_do_not_count() -> None:
    with edge.backend() as port, pytest.raises(SystemExit, match="Requests failed"):
        wrk(f"http://127.0.0.1:{port + 1 if port < 65535 else port - 1}/", seconds=1, connections=1, headers={})


@pytest.mark.long
def test_both_platforms_are_measured() -> None:
    result = jupyterhub.measure(at_once=3, rounds=1, one_by_one=2)
    assert result["ours"]["per_second"] > 0
    assert result["jupyterhub"]["per_second"] > 0
    assert len(jupyterhub.rows(result)) == 5


def test_a_result_is_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harness.publish({"answer": 42}, [("what", "figure"), ("the answer", "42")], tmp_path / "result.json")
    assert capsys.readouterr().out.splitlines() == ["what        figure", "the answer      42"]
    kept = json.loads((tmp_path / "result.json").read_text())
    assert kept["answer"] == 42
    assert kept["machine"]["cpus"]
