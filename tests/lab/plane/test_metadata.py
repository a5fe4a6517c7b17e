"""The metadata service of EC2, version 2, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from lab.plane import metadata
from lab.plane.base import Metadata
from lab.plane.loop import LoopThread
from lab.plane.metadata import Asking, MetadataService
from tests.support.clock import MovedTime

KEYS = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
FACTS = Metadata("i-1", "us-west-2a", "us-west-2", "role", KEYS, {"Name": "n"}, rebalance={"noticeTime": "2026-01-01T00:00:00Z"})


class World:
    """The machine that asks, and what is known of machines, for tests to change."""

    asking: Asking | None = Asking("i-1", tags=True)
    facts: Metadata | None = FACTS

    def source(self, instance_id: str) -> Metadata:
        if self.facts is None or self.facts.instance_id != instance_id:
            raise LookupError(instance_id)
        return self.facts


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def imds(world: World) -> Iterator[httpx.Client]:
    thread = LoopThread("metadata")
    service = MetadataService(thread, "127.0.0.1", lambda _: world.asking, world.source)
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/latest/", trust_env=False) as client:
        yield client
    service.close()
    thread.close()


def token(imds: httpx.Client, seconds: int = 60) -> dict[str, str]:
    answer = imds.put("api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": str(seconds)})
    assert (answer.status_code, answer.headers["X-aws-ec2-metadata-token-ttl-seconds"]) == (200, str(seconds))
    return {"X-aws-ec2-metadata-token": answer.text}


def test_without_a_token_nothing_is_told(imds: httpx.Client) -> None:
    assert imds.get("meta-data/instance-id").status_code == 401
    assert imds.get("meta-data/instance-id", headers={"X-aws-ec2-metadata-token": "made-up"}).status_code == 401
    assert imds.get("meta-data/instance-id", headers=token(imds)).text == "i-1"


def test_a_token_is_good_for_its_seconds_and_its_machine(imds: httpx.Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    time = MovedTime()
    monkeypatch.setattr(metadata, "time", time)
    short, long = token(imds, 600), token(imds, 6000)
    world.asking = Asking("i-2", tags=True)
    assert imds.get("meta-data/instance-id", headers=long).status_code == 401
    world.asking = Asking("i-1", tags=True)
    assert imds.get("meta-data/instance-id", headers=short).status_code == 200
    time.ahead = 601.0
    assert imds.get("meta-data/instance-id", headers=short).status_code == 401
    assert imds.get("meta-data/instance-id", headers=long).status_code == 200


@pytest.mark.parametrize("seconds", ["", "0", "21601", "ten"])
def test_a_token_wants_a_sensible_lifetime(imds: httpx.Client, seconds: str) -> None:
    assert imds.put("api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds} if seconds else {}).status_code == 400


def test_a_token_is_not_given_through_a_proxy(imds: httpx.Client) -> None:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Forwarded-For": "10.0.0.9"}
    assert imds.put("api/token", headers=headers).status_code == 403


def test_a_stranger_is_told_nothing(imds: httpx.Client, world: World) -> None:
    given = token(imds)
    world.asking = None
    assert imds.get("meta-data/instance-id", headers=given).status_code == 403


def test_it_tells_the_roles_credentials_the_document_and_what_ec2_recommends(imds: httpx.Client) -> None:
    given = token(imds)
    assert imds.get("meta-data/iam/security-credentials/", headers=given).text == "role"
    assert imds.get("meta-data/iam/security-credentials/role", headers=given).json() == {"Code": "Success", "Type": "AWS-HMAC", **KEYS}
    assert imds.get("meta-data/iam/security-credentials/other", headers=given).status_code == 404
    assert imds.get("dynamic/instance-identity/document", headers=given).json()["instanceId"] == "i-1"
    assert json.loads(imds.get("meta-data/events/recommendations/rebalance", headers=given).text) == FACTS.rebalance
    assert imds.get("meta-data/spot/instance-action", headers=given).status_code == 404


def test_a_machine_without_a_role_or_tags_finds_neither(imds: httpx.Client, world: World) -> None:
    given = token(imds)
    world.facts = Metadata("i-1", "us-west-2a", "us-west-2", None, {}, {"Name": "n"})
    world.asking = Asking("i-1", tags=False)
    for path in ("meta-data/iam/security-credentials/", "meta-data/tags/instance/", "meta-data/tags/instance/Name"):
        assert imds.get(path, headers=given).status_code == 404


def test_folders_tell_what_is_in_them_as_cloud_init_walks_through_them(imds: httpx.Client, world: World) -> None:
    """Source: EC2's guide, *Access instance metadata*, whose listings end the names of folders with a slash."""
    world.asking = Asking("i-1", tags=True, user_data="#!/bin/bash\ntrue\n")
    given = token(imds)
    assert imds.get("meta-data/", headers=given).text.splitlines() == ["events/", "iam/", "instance-id", "placement/", "tags/"]
    assert imds.get("meta-data/placement/", headers=given).text.splitlines() == ["availability-zone", "region"]
    assert imds.get("meta-data/tags/instance", headers=given).text == "Name"
    assert imds.get("dynamic/instance-identity", headers=given).text == "document"
    assert imds.get("user-data", headers=given).text == "#!/bin/bash\ntrue\n"
    assert imds.get("meta-data/spot/", headers=given).status_code == 404


def test_versions_have_names_and_user_data_may_be_missing(imds: httpx.Client) -> None:
    given = token(imds)
    at = str(imds.base_url).removesuffix("/latest/")
    assert imds.get(f"{at}/2021-03-23/meta-data/instance-id", headers=given).text == "i-1"
    assert imds.get(f"{at}/2099-01-01/meta-data/instance-id", headers=given).status_code == 404
    assert imds.get("user-data", headers=given).status_code == 404
