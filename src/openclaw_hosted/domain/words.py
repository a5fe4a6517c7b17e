"""The words that people read for what the code names: one table, which the pages, the API's documentation and the command line share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from openclaw_hosted.domain.actor import Party, Via
from openclaw_hosted.domain.gateway import Channel, ModelProvider
from openclaw_hosted.domain.instance import Phase, StepName
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.restore_point import Cause

PHASE_WORDS: Final[Mapping[Phase, str]] = {
    Phase.PENDING: "Waiting for a machine",
    Phase.PLACING: "Starting",
    Phase.RUNNING: "Running",
    Phase.UPDATING: "Applying changes",
    Phase.RESTORING: "Restoring",
    Phase.REPLACING: "Moving to another machine",
    Phase.FAILED: "Failed",
    Phase.DELETING: "Deleting",
    Phase.DELETED: "Deleted",
    Phase.PURGED: "Destroyed",
}
NOTICE_WORDS: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.INTERRUPTION: "The cloud provider is taking it back",
    NoticeKind.REBALANCE: "The cloud provider may take it back soon",
    NoticeKind.MAINTENANCE: "The cloud provider has planned maintenance",
    NoticeKind.DRAIN: "An operator is draining it",
    NoticeKind.ENDED: "It ended without notice",
}
DEPARTURE_WORDS: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.INTERRUPTION: "The cloud provider is taking its machine back, so it is moving to another one.",
    NoticeKind.REBALANCE: "The cloud provider may take its machine back soon, so it is moving to another one.",
    NoticeKind.MAINTENANCE: "The cloud provider has planned maintenance on its machine, so it is moving to another one.",
    NoticeKind.DRAIN: "An operator is taking its machine out of service, so it is moving to another one.",
    NoticeKind.ENDED: "Its machine stopped, so it is moving to another one.",
}
STEP_WORDS: Final[Mapping[StepName, str]] = {
    StepName.MACHINE: "Find a machine",
    StepName.SECRET: "Store the keys",
    StepName.CLEAR: "Prepare the new machine",
    StepName.STOP: "Stop OpenClaw on the old machine",
    StepName.VOLUME: "Attach the disk",
    StepName.KEEP: "Save the present state",
    StepName.RESTORE: "Load the restore point",
    StepName.GATEWAY: "Start OpenClaw",
    StepName.LABEL: "Label the machine",
    StepName.TARGET: "Connect the machine",
    StepName.ROUTE: "Set up the address",
    StepName.PROBE: "Check the address",
    StepName.UNROUTE: "Close the address",
    StepName.TERMINATE: "Shut the machine down",
    StepName.RETIRE: "Set data and keys aside",
}
CAUSE_WORDS: Final[Mapping[Cause, str]] = {
    Cause.SCHEDULE: "on schedule",
    Cause.ASKED: "you created it",
    Cause.UPGRADE: "before an upgrade of OpenClaw",
    Cause.DELETION: "when it was deleted",
    Cause.RESTORE: "before you restored another",
    Cause.MOVE: "before it moved to another zone",
    Cause.BROUGHT: "you imported it",
    Cause.ADOPTED: "from before the platform was rebuilt",
    Cause.ORPHAN: "before its disk was removed",
}

PARTY_WORDS: Final[Mapping[str, str]] = {
    Party.PLATFORM: "the platform",
    Party.SETUP: "the platform",
    Party.OPERATOR: "the operator",
    Party.STRANGER: "somebody not signed in",
}
VIA_WORDS: Final[Mapping[Via, str]] = {
    Via.PAGE: "on a page",
    Via.API: "through the API",
    Via.COMMAND_LINE: "on the command line",
    Via.SERVICE: "",
}
PROVIDER_WORDS: Final[Mapping[ModelProvider, str]] = {
    ModelProvider.ECHO: "Echo",
    ModelProvider.ANTHROPIC: "Anthropic",
    ModelProvider.OPENAI: "OpenAI",
    ModelProvider.OPENROUTER: "OpenRouter",
    ModelProvider.GOOGLE: "Google",
    ModelProvider.COMPATIBLE: "Another address",
}
CHANNEL_WORDS: Final[Mapping[Channel, str]] = {
    Channel.TELEGRAM: "Telegram",
    Channel.DISCORD: "Discord",
    Channel.SLACK: "Slack",
}


def event_words(name: str) -> str:
    """An event's name as words: `Machine launch failed`."""
    return name.replace(".", " ").replace("_", " ").capitalize()


def legend(words: Mapping[str, str]) -> str:
    """A table as one line for documentation: each code with its words."""
    return "; ".join(f"`{code}`: {text}" for code, text in words.items())
