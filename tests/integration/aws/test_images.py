"""Which image machines run, out of all that a repository holds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from lab.plain import PlainLab
from openclaw_hosted.adapters.aws.account import find_image
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.domain.errors import NotFound
from tests.support.aws import sdk_on

OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
async def sdk(lab: PlainLab) -> AsyncIterator[AwsSdk]:
    async with sdk_on(lab) as made:
        yield made


def push(lab: PlainLab, repository: str, number: int, tag: str | None) -> str:
    manifest = {"schemaVersion": 2, "mediaType": OCI, "layers": [{"digest": f"sha256:{number:064x}"}], "number": number}
    named = {} if tag is None else {"imageTag": tag}
    made = lab.site.client("ecr").put_image(repositoryName=repository, imageManifest=json.dumps(manifest), **named)
    image = next(
        each for each in lab.cloud.ecr.repositories[repository].images if each.image_digest == made["image"]["imageId"]["imageDigest"]
    )
    image.image_pushed_at = 1_800_000_000 + number
    return str(image.image_digest)


async def test_the_newest_image_is_found_beyond_the_first_page(lab: PlainLab, sdk: AwsSdk) -> None:
    lab.site.client("ecr").create_repository(repositoryName="many")
    pushed = [push(lab, "many", number, f"tag-{number}") for number in range(101)]
    assert await find_image(sdk, "registry/many", None) == f"registry/many@{pushed[-1]}"
    assert sdk.stats[Call.DESCRIBE_IMAGES].made == 2


async def test_what_was_pushed_beside_an_image_is_not_taken_for_a_newer_one(lab: PlainLab, sdk: AwsSdk) -> None:
    lab.site.client("ecr").create_repository(repositoryName="attested")
    image = push(lab, "attested", 1, "2026.9.6")
    push(lab, "attested", 2, None)
    signature = push(lab, "attested", 3, "sha256-1.sig")
    for each in lab.cloud.ecr.repositories["attested"].images:
        if each.image_digest == signature:
            each.artifact_media_type = "application/vnd.dev.cosign.artifact.sig.v1+json"
    assert await find_image(sdk, "registry/attested", None) == f"registry/attested@{image}"


async def test_a_repository_with_nothing_but_parts_has_no_image(lab: PlainLab, sdk: AwsSdk) -> None:
    lab.site.client("ecr").create_repository(repositoryName="parts")
    push(lab, "parts", 1, None)
    with pytest.raises(NotFound, match="has no image yet"):
        await find_image(sdk, "registry/parts", None)


async def test_log_groups_are_looked_through_to_the_last_page(lab: PlainLab, sdk: AwsSdk) -> None:
    for number in range(51):
        lab.site.client("logs").create_log_group(logGroupName=f"/many/{number:02}")
    pages = [page async for page in sdk.pages(Call.DESCRIBE_LOG_GROUPS, logGroupNamePrefix="/many/")]
    assert sum(len(page["logGroups"]) for page in pages) == 51
