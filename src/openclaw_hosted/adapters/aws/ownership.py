"""Whose the account's things are: a tag on the secret with the sealing key."""

from __future__ import annotations

from typing import Final

from openclaw_hosted.adapters.aws.account import SEALING_KEY
from openclaw_hosted.adapters.aws.names import as_tags, from_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk

MARK: Final = "PlatformMark"


class AwsOwnership:
    """`Ownership` of one deployment in an account."""

    def __init__(self, sdk: Sdk, deployment: str) -> None:
        self._sdk = sdk
        self._secret = f"{deployment}/{SEALING_KEY}"

    async def owner(self) -> str | None:
        """The tag's value, if it has one."""
        found = await self._sdk.call(Call.DESCRIBE_SECRET, SecretId=self._secret)
        return from_tags(found.get("Tags")).get(MARK)

    async def claim(self, mark: str) -> None:
        """Set the tag."""
        await self._sdk.call(Call.TAG_SECRET, SecretId=self._secret, Tags=as_tags({MARK: mark}))
