"""What lets a probe pass forward-auth, by itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.edge.forward_auth import EdgeState, ForwardAuth
from tests.support.edge import IDS
from tests.support.waiting import PATIENCE_SECONDS

MINE, OTHER = IDS.instance_id(), IDS.instance_id()
ADDRESS = "127.0.0.1:1"
COOKIE = "a-cookie"
PASSED, TO_PLATFORM, ABSENT = 200, 204, 404


@pytest.fixture
def lookup(tmp_path: Path) -> ForwardAuth:
    made = ForwardAuth(EdgeState(tmp_path / "routes.sqlite"))
    for instance_id in (MINE, OTHER):
        put(made, f"/routes/{instance_id}", address=ADDRESS, machine="mc-a", owner="us-owner", generation=1)
    return made


def put(lookup: ForwardAuth, path: str, **body: object) -> int:
    return lookup.answer("PUT", path, {}, json.dumps(body).encode())[0]


def put_probe(lookup: ForwardAuth, instance_id: str, *, address: str = ADDRESS, seconds: float = PATIENCE_SECONDS) -> int:
    return put(lookup, f"/probes/{instance_id}", address=address, session=hashlib.sha256(COOKIE.encode()).hexdigest(), seconds=seconds)


def passes(lookup: ForwardAuth, instance_id: str) -> int:
    headers = {b"x-original-uri": f"/{instance_id}/".encode(), b"cookie": f"ochs={COOKIE}".encode(), b"x-cookies": b"ochs"}
    return lookup.answer("GET", "/lookup", headers, b"")[0]


def test_a_probe_passes_once(lookup: ForwardAuth) -> None:
    assert passes(lookup, MINE) == TO_PLATFORM
    assert put_probe(lookup, MINE) == 204
    assert [passes(lookup, MINE) for _ in range(2)] == [PASSED, TO_PLATFORM]


def test_a_probe_of_one_instance_reaches_no_other(lookup: ForwardAuth) -> None:
    put_probe(lookup, MINE)
    assert passes(lookup, OTHER) == TO_PLATFORM


def test_a_probe_that_comes_too_late_does_not_pass(lookup: ForwardAuth) -> None:
    put_probe(lookup, MINE, seconds=0)
    assert passes(lookup, MINE) == TO_PLATFORM


def test_only_a_bound_route_to_the_same_address_is_probed(lookup: ForwardAuth) -> None:
    prepared = IDS.instance_id()
    put(lookup, f"/routes/{prepared}", address=ADDRESS, machine="mc-b", owner=None, generation=0)
    assert [put_probe(lookup, prepared), put_probe(lookup, IDS.instance_id()), put_probe(lookup, MINE, address="127.0.0.1:2")] == [
        ABSENT
    ] * 3


def test_probes_are_kept_in_no_file(lookup: ForwardAuth, tmp_path: Path) -> None:
    put_probe(lookup, MINE)
    assert passes(ForwardAuth(EdgeState(tmp_path / "routes.sqlite")), MINE) == TO_PLATFORM
