"""The settings of the AWS provider. Those of SEED's list keep their names; the others have defaults."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from openclaw_hosted.domain.prices import PRICED_TYPE, PRICES, Kind
from openclaw_hosted.domain.shards import MOST_SHARDS
from openclaw_hosted.settings import SettingsError, as_browsers_write, explain

DEPLOYMENT_LENGTH: Final = 18
"""A target group's name is the deployment's, a hyphen and a machine id (11 characters), and may have 32."""
_LISTENER: Final = re.compile(r"arn:aws[\w-]*:elasticloadbalancing:[\w-]+:\d{12}:listener/app/[\w-]+/[0-9a-f]+/[0-9a-f]+")
_TEMPLATE: Final = r"^lt-[0-9a-f]+$"
_XEN: Final = re.compile(r"([cm][134]|cc2|cr1|d2|f1|g[23]s?|h1|hs1|i[23]|m2|p[23]|r[34]|t[12]|x1e?)\.")
"""Families before the Nitro system: there a disk's name does not hold its volume's id, by which machines find theirs."""
MOST_RETENTION_DAYS: Final = 30
"""As long as Secrets Manager keeps what was deleted (decision 65)."""
_REPOSITORY: Final = re.compile(r"[a-z0-9.-]+(:\d{1,5})?/[a-z0-9._/-]+")


class Routing(StrEnum):
    """How an address names an instance."""

    PATH = "path"
    """`https://claw.example.com/oc-7f3k2m9q/`: one browser origin for all users of a load balancer."""
    HOST = "host"
    """`https://oc-7f3k2m9q.claw.example.com/oc-7f3k2m9q/`: an origin for each; needs a wildcard certificate and name."""


Listed = Annotated[tuple[str, ...], NoDecode]
"""Comma separated."""


class LoadBalancer(StrEnum):
    """What users' requests meet first."""

    ALB = "alb"
    """Application Load Balancers."""
    NONE = "none"
    """The edge of the machine that the control plane runs on."""


class MachineSettings(BaseSettings):
    """What machines are, and what they cost. Needs no AWS account."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    instance_type: str = Field(PRICED_TYPE, alias="USER_INSTANCE_TYPE", pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")
    addresses: Literal["ipv4", "ipv6"] = Field("ipv4", alias="MACHINE_ADDRESSES")
    """By what machines reach the world: a public IPv4 address each, or IPv6 alone, which costs nothing."""
    spot_price: float = Field(PRICES[Kind.SPOT_MACHINE].usd, alias="SPOT_PRICE_PER_HOUR", gt=0, le=1000)
    """Of one machine, in US dollars, for estimates; so is `on_demand_price`."""
    on_demand_price: float = Field(PRICES[Kind.ON_DEMAND_MACHINE].usd, alias="ON_DEMAND_PRICE_PER_HOUR", gt=0, le=1000)
    on_demand_spares: bool = Field(default=False, alias="ON_DEMAND_SPARES")
    """Launch on demand always."""
    volume_gib: int = Field(8, alias="DATA_VOLUME_GIB", ge=1, le=16_384)
    root_volume_gib: int = Field(10, alias="ROOT_VOLUME_GIB", ge=1, le=16_384)
    """As the launch template has it."""
    shard_capacity: int = Field(80, alias="SHARD_CAPACITY", ge=1, le=100)


class AwsSettings(MachineSettings):
    """Where the platform lives in an AWS account."""

    extra_instance_types: Listed = Field(("t3a.small", "t3.medium", "t3a.medium"), alias="EXTRA_INSTANCE_TYPES")
    """Where else capacity is looked for; of the same processor architecture. Other sizes only where there is none of the first one's."""
    launch_template: str = Field(alias="LAUNCH_TEMPLATE_ID", pattern=_TEMPLATE)
    """For machines that operators start by hand."""
    own_fleet_template: str | None = Field(None, alias="FLEET_TEMPLATE_ID", pattern=_TEMPLATE)
    """For those that the platform launches: without market options and subnet, which it names itself. Without it, `launch_template`."""
    region: str = Field(alias="AWS_REGION", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    vpc: str = Field(alias="VPC_ID", pattern=r"^vpc-[0-9a-f]+$")
    subnets: Listed = Field(alias="SUBNET_IDS")
    security_group: str = Field(alias="SECURITY_GROUP_ID", pattern=r"^sg-[0-9a-f]+$")
    load_balancer: LoadBalancer = Field(LoadBalancer.ALB, alias="LOAD_BALANCER")
    listeners: Listed = Field((), alias="ALB_LISTENER_ARN")
    """One for each load balancer. Add at the end only: an instance's id holds its number."""
    public_url: str | None = Field(None, alias="PUBLIC_URL")
    """The platform's own setting, which can't be left out here without a load balancer."""
    repository: str = Field(alias="ECR_REPOSITORY_URL")
    image_tag: str | None = Field(None, alias="IMAGE_TAG")
    """Of the gateway's image in the repository, or its digest, `sha256:…`; without it, the newest image there."""
    machine_role: str | None = Field(None, alias="MACHINE_ROLE_ARN", pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+$")
    """The role of all machines. With it, each secret gets a policy of its own that denies it to every machine but one."""
    log_group: str | None = Field(None, alias="GATEWAY_LOG_GROUP", pattern=r"^[A-Za-z0-9_./#-]{1,512}$")
    """The CloudWatch group for what gateways print; without it, their logs stay on the machines. Machines that run keep what they have."""
    notices_queue: str | None = Field(None, alias="NOTICES_QUEUE_URL", pattern=r"^https?://[\w.:-]+/\d{12}/[\w-]+$")
    """The SQS queue with what AWS says of machines before they end; without it, nothing is heard of that."""
    archives_bucket: str | None = Field(None, alias="ARCHIVES_BUCKET", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """The S3 bucket through which archives leave machines and reach them; without it nobody can download or import one."""
    deployment: str = Field("openclaw", alias="DEPLOYMENT_NAME", pattern=r"^[a-z][a-z0-9-]*$", max_length=DEPLOYMENT_LENGTH)
    """Begins the names of secrets and target groups, and is the tag `Deployment` of everything: keeps two platforms of an account apart."""
    on_demand_fallback: bool = Field(default=False, alias="ON_DEMAND_FALLBACK")
    """Launch on demand where there is no Spot capacity."""
    on_demand_replacements: bool = Field(default=True, alias="ON_DEMAND_REPLACEMENTS")
    """The same, where a user's volume waits for a machine in its zone."""
    retention_days: float | None = Field(None, alias="RETENTION_DAYS")
    """The platform's own setting, which has a limit here."""
    routing: Routing = Field(Routing.PATH, alias="ROUTING")
    instance_domain: str | None = Field(None, alias="INSTANCE_DOMAIN", pattern=r"^[a-z0-9.-]+$")
    """With `ROUTING=host`: instances answer at `{id}.INSTANCE_DOMAIN`."""
    shard_urls: Listed = Field((), alias="SHARD_URLS")
    """The address of each load balancer, in the order of `ALB_LISTENER_ARN`; without them the AWS names."""
    endpoint_url: str | None = Field(None, alias="AWS_ENDPOINT_URL")
    """For a lab."""

    @field_validator("load_balancer", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("extra_instance_types", "subnets", "listeners", "shard_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("instance_type", "extra_instance_types")
    @classmethod
    def _are_nitro(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if any(_XEN.match(kind) for kind in ([value] if isinstance(value, str) else value)):
            raise ValueError("give types of the Nitro system such as t3.small; t2 and its contemporaries do not tell disks apart")
        return value

    @field_validator("retention_days")
    @classmethod
    def _is_kept(cls, value: float | None) -> float | None:
        if value is not None and value > MOST_RETENTION_DAYS:
            raise ValueError(f"give {MOST_RETENTION_DAYS} days at most: Secrets Manager keeps what was deleted no longer")
        return value

    @field_validator("subnets")
    @classmethod
    def _are_subnets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(re.fullmatch(r"subnet-[0-9a-f]+", subnet) for subnet in value):
            raise ValueError("give the ids of public subnets, comma separated, such as subnet-0a1b,subnet-0c2d")
        return value

    @field_validator("listeners")
    @classmethod
    def _are_listeners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MOST_SHARDS or not all(_LISTENER.fullmatch(arn) for arn in value):
            raise ValueError("give the ARNs of listeners of Application Load Balancers (…:listener/app/…), comma separated")
        return value

    @field_validator("repository")
    @classmethod
    def _is_repository(cls, value: str) -> str:
        if not _REPOSITORY.fullmatch(value):
            raise ValueError("give the repository's address without a tag, such as 123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw")
        return value

    @field_validator("shard_urls")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
                raise ValueError("give scheme and host only, such as https://s1.claw.example.com,https://s2.claw.example.com")
        return tuple(as_browsers_write(url) for url in value)

    @model_validator(mode="after")
    def _is_reached(self) -> AwsSettings:
        if self.has_balancers:
            if not self.listeners:
                raise ValueError("ALB_LISTENER_ARN is not set; LOAD_BALANCER=none does without, with this machine in the way of all users")
            return self
        for name, given in (("ALB_LISTENER_ARN", self.listeners), ("SHARD_URLS", self.shard_urls)):
            if given:
                raise ValueError(f"{name} is of load balancers, and LOAD_BALANCER is none; leave one of them out")
        if self.routing is Routing.HOST:
            raise ValueError("ROUTING=host needs a load balancer, and LOAD_BALANCER is none; leave one of them out")
        if self.public_url is None:
            raise ValueError("LOAD_BALANCER=none needs PUBLIC_URL, the address that users open, such as https://claw.example.com")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> AwsSettings:
        if self.routing is Routing.HOST and self.instance_domain is None:
            raise ValueError("ROUTING=host needs INSTANCE_DOMAIN, such as claw.example.com, of which all names lead to the load balancer")
        if self.shard_urls and len(self.shard_urls) != len(self.listeners):
            raise ValueError(f"SHARD_URLS has {len(self.shard_urls)} addresses, ALB_LISTENER_ARN {len(self.listeners)}; give one for each")
        return self

    @property
    def has_balancers(self) -> bool:
        """Whether users come through load balancers; else the edge of this machine is what they meet first."""
        return self.load_balancer is LoadBalancer.ALB

    @property
    def fleet_template(self) -> str:
        """What the platform launches machines from."""
        return self.own_fleet_template or self.launch_template

    @property
    def instance_types(self) -> tuple[str, ...]:
        """All, the wanted one first."""
        return tuple(dict.fromkeys((self.instance_type, *self.extra_instance_types)))


def load_machine_settings() -> MachineSettings:
    """The settings of the environment. Raises `SettingsError`, which names the variable and the way out."""
    try:
        return MachineSettings()
    except ValidationError as error:
        raise SettingsError(explain(error)) from None


def load_aws_settings() -> AwsSettings:
    """The settings of the environment. Raises `SettingsError`, which names the variable and the way out."""
    try:
        return AwsSettings()
    except ValidationError as error:
        raise SettingsError(f"PROVIDER=aws: {explain(error)} Terraform prints them all: terraform output web_environment") from None
