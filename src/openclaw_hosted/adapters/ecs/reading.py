"""A service and its task definition, read as the mapping says."""

from __future__ import annotations

import re
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from openclaw_hosted.adapters.ecs.mapping import Mapping
from openclaw_hosted.domain.account import clean_email
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.migration import OldService, OldState

USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
Body = AnyMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A service as ECS describes it, its task definition, and what leads to it."""

    service: Body
    task: Body
    rule: Body | None
    folders: AnyMapping[str, str]
    """Of EFS access points, by id."""
    drain_seconds: float = 0.0
    """Of its target group."""

    @property
    def tags(self) -> dict[str, str]:
        """The service's."""
        return {str(tag["key"]): str(tag.get("value", "")) for tag in self.service.get("tags", ())}

    @property
    def environment(self) -> dict[str, str]:
        """Of all containers of the task."""
        return {str(pair["name"]): str(pair["value"]) for each in self.containers for pair in each.get("environment", ())}

    @property
    def containers(self) -> list[Body]:
        """Of the task."""
        return list(self.task.get("containerDefinitions", ()))


def read_service(described: Described, mapping: Mapping) -> OldService | None:
    """The service; None for one that is no user's."""
    name, tags, environment = str(described.service["serviceName"]), described.tags, described.environment
    user = mapping.user.word(name, tags, environment)
    if user is None:
        return None
    problems: list[str] = []
    if not USER.fullmatch(user):
        problems.append(f"The service {name} names a user {user[:40]!r}, which is no id: use letters, digits, and . _ @ -")
    state = _state(described, mapping, user, problems)
    return OldService(
        user=user,
        ref=str(described.service["serviceArn"]),
        email=_email(mapping, user, mapping.email.word(name, tags, environment), problems),
        desired=int(described.service.get("desiredCount", 0)),
        secret=mapping.secret.format(user=user) if mapping.secret else None,
        state=state,
        route=_route(described, name, problems),
        path=_path(described.rule),
        version=_version(described),
        drain_seconds=described.drain_seconds,
        problems=tuple(problems),
    )


def _email(mapping: Mapping, user: str, found: str | None, problems: list[str]) -> str | None:
    text = mapping.emails.get(user, found)
    if text is None:
        problems.append(f"No e-mail address is known for {user}: tag the service, or name it under `emails` in the mapping.")
        return None
    try:
        return clean_email(text)
    except InvalidInput:
        problems.append(f"What is given as the e-mail address of {user} is none: {text[:60]!r}.")
        return None


def _route(described: Described, name: str, problems: list[str]) -> str | None:
    if described.rule is None:
        problems.append(f"No rule of the listeners leads to the service {name}. Name its listener under `listeners` in the mapping.")
        return None
    return str(described.rule["RuleArn"])


def _path(rule: Body | None) -> str | None:
    conditions = rule.get("Conditions", ()) if rule else ()
    values = [v for each in conditions if each.get("Field") == "path-pattern" for v in each.get("PathPatternConfig", {}).get("Values", ())]
    return str(values[0]).removesuffix("/*") if values else None


def _version(described: Described) -> str | None:
    images = [str(each.get("image", "")) for each in described.containers]
    found = [image.rpartition(":")[2] for image in images if "openclaw" in image and ":" in image]
    return found[0] if found else None


def _state(described: Described, mapping: Mapping, user: str, problems: list[str]) -> OldState:
    wanted = mapping.state
    if wanted.none:
        return OldState()
    volumes = {volume["name"]: volume for volume in described.task.get("volumes", ())}
    points = [point for each in described.containers for point in each.get("mountPoints", ())]
    source = next((str(point["sourceVolume"]) for point in points if point.get("containerPath") == wanted.container_path), None)
    efs = volumes.get(source, {}).get("efsVolumeConfiguration")
    if efs is None:
        problems.append(
            f"No EFS volume of {user}'s task is mounted at {wanted.container_path}. Set `state.container_path` in the mapping, or "
            "`state.none: true` to bring users without what they said."
        )
        return OldState()
    point = efs.get("authorizationConfig", {}).get("accessPointId")
    root = described.folders.get(point, "/") if point else str(efs.get("rootDirectory") or "/")
    folder = PurePosixPath(root) / (wanted.folder or "").format(user=user)
    if ".." in folder.parts or not folder.is_absolute():
        problems.append(f"The state of {user} is said to be at {folder}, which is no path below the file system.")
        return OldState()
    return OldState(f"{efs['fileSystemId']}:{folder}")
