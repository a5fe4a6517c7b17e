"""How to find each user's things on the older system. What an operator does not write keeps the default, which fits the layout that
docs/migration.md describes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput

FILE_BYTES: Final = 1 << 20
LISTENER: Final = r"^arn:aws[\w-]*:elasticloadbalancing:[\w-]+:\d{12}:listener/app/[\w-]+/[0-9a-f]+/[0-9a-f]+$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Find(_Part):
    """Where a word stands: the service's tag of this name, its task's environment variable, or its own name, by a pattern with a group."""

    tag: str | None = None
    environment: str | None = None
    name: str | None = None

    @field_validator("name")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"is no pattern: {error}") from None
        if groups != 1:
            raise ValueError("has to have one group, such as openclaw-(.+)")
        return pattern

    @model_validator(mode="after")
    def _is_one(self) -> Find:
        if sum(part is not None for part in (self.tag, self.environment, self.name)) != 1:
            raise ValueError("give one of tag, environment and name")
        return self

    def word(self, name: str, tags: dict[str, str], environment: dict[str, str]) -> str | None:
        """What it finds of a service; None where it finds nothing."""
        if self.tag is not None:
            return tags.get(self.tag)
        if self.environment is not None:
            return environment.get(self.environment)
        found = re.fullmatch(self.name or "", name)
        return found and found[1]


class State(_Part):
    """Where a user's state is. By default the EFS volume of the task that is mounted at `container_path`."""

    container_path: str = "/home/node/.openclaw"
    folder: str | None = None
    """Below what is mounted there, such as `users/{user}`."""
    mounts: dict[str, Path] = Field(default_factory=dict)
    """Where this computer has each file system mounted, by its id."""
    bucket: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """With machines on AWS: the S3 bucket, in their region, through which states come to them."""
    none: bool = False
    """The older system keeps no state: users come without."""


class Mapping(_Part):
    """The file as a whole."""

    region: str | None = Field(None, pattern=r"^[a-z]{2,}-[a-z-]+-\d$")
    """By default that of AWS_REGION."""
    cluster: str = "openclaw"
    listeners: Annotated[tuple[Annotated[str, Field(pattern=LISTENER)], ...], Field(min_length=1)]
    """The load balancer's listeners whose rules lead to the services."""
    proof: dict[str, str] = Field(default={"System": "openclaw-ecs"}, min_length=1)
    """The tags, all of them, that prove a thing to be the older system's. Nothing without them is taken away."""
    user: Find = Find(tag="UserId")
    email: Find = Find(tag="UserEmail")
    emails: dict[str, str] = Field(default_factory=dict)
    """By user, where no tag has them."""
    secret: str | None = None
    """The name of each user's secret, a JSON document by variable names, such as `openclaw/{user}`. By default what the task definition
    takes from Secrets Manager."""
    provider: Find | None = None
    model: Find | None = None
    state: State = State()
    title: str = "We are moving your assistant"
    page: str = "It will be back in a minute, with all that it knows. This page looks again by itself."


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises `InvalidInput`, which names what is wrong in it."""
    try:
        with path.expanduser().open("rb") as opened:
            body: Any = yaml.safe_load(opened.read(FILE_BYTES))
    except OSError as error:
        raise InvalidInput(FieldProblem("mapping", f"{path} can't be read: {error.strerror}.")) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(FieldProblem("mapping", f"{path} is not YAML: {' '.join(str(error).split())[:200]}")) from None
    return parse_mapping(body)


def parse_mapping(body: Any) -> Mapping:
    """A mapping in the shape of its file. Raises `InvalidInput`."""
    try:
        return Mapping.model_validate(body if body is not None else {})
    except ValidationError as error:
        problems = [FieldProblem(".".join(map(str, each["loc"])) or "mapping", each["msg"]) for each in error.errors()]
        raise InvalidInput(*problems) from None
