"""Every setting of the platform, read from the environment.

Each field's alias is the name of its variable; a wrong value raises `SettingsError`, which names the variable and says what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from openclaw_hosted.choices import MachineKind, Provider, SettingsError, Tls
from openclaw_hosted.datadir import DEFAULT_DATA_DIR
from openclaw_hosted.domain.account import check_password, clean_email
from openclaw_hosted.domain.addresses import MACHINE_PORTS, LocalModel, parse_local_models
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.origins import origin_of
from openclaw_hosted.proxies import parse_networks

HTTPS_PORT: Final = 443
POSTGRES_PORT: Final = 5432
LOWEST_OPEN_PORT: Final = 1024
"""That a program may listen on without a permission."""
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - HTTPS is asked for in order to be reached

__all__ = ["MachineKind", "Provider", "Settings", "SettingsError", "Tls", "explain", "load_settings"]


class Settings(BaseSettings):
    """What an operator may set. Arguments of the command line are given by variable name, and win over the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    data_dir: Path = Field(DEFAULT_DATA_DIR, alias="OPENCLAW_HOSTED_DATA_DIR")
    database: SecretStr | None = Field(None, alias="DATABASE_URL")
    """A secret, as it may hold a password. Without it: SQLite in the data directory."""
    host: str = Field("127.0.0.1", alias="HOST")
    port: int = Field(8080, alias="PORT", ge=1, le=65535)
    public_url: str = Field("", alias="PUBLIC_URL")
    """The address that users open, without a trailing slash."""
    other_urls: Annotated[tuple[str, ...], NoDecode] = Field((), alias="OTHER_URLS")
    """More addresses that lead here, in the scheme of that one."""
    machines: MachineKind = Field(MachineKind.AUTO, alias="MACHINES")
    machine_cpus: float | None = Field(None, alias="MACHINE_CPUS", ge=0.1, le=1024)
    """How many processors' time one Docker machine may take; without it half of the computer's, one at least."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field((), alias="TRUSTED_PROXIES")
    """Networks of the proxies in front, whose X-Forwarded-For counts: the client is the last address in it that is not among them."""
    private_webhooks: bool = Field(default=False, alias="ALLOW_PRIVATE_WEBHOOKS")
    """Whether webhooks of users may lead to this computer and its network, and over plain HTTP."""
    local_models: Annotated[tuple[LocalModel, ...], NoDecode] = Field((), alias="ALLOW_LOCAL_MODELS")
    """Servers of models outside of the internet that users may give as an address; machines get a way to those on this computer."""
    tls: Tls = Field(Tls.OFF, alias="TLS")
    """Who ends HTTPS, if anyone on this computer does."""
    http_port: int = Field(80, alias="HTTP_PORT", ge=0, le=65535)
    """Redirects to HTTPS where `tls` is on; 0 for none."""
    acme_email: str | None = Field(None, alias="ACME_EMAIL")
    acme_ca: str | None = Field(None, alias="ACME_CA")
    """URL of another ACME directory."""
    acme_ca_root: Path | None = Field(None, alias="ACME_CA_ROOT")
    """The root certificate with which that directory is trusted, where it is a private one."""
    provider: Provider = Field(Provider.LOCAL, alias="PROVIDER")
    routing: Literal["path", "host"] = Field("path", alias="ROUTING")
    """How an address names an instance; `host` on AWS only."""
    fake_gateway: str | None = Field(None, alias="FAKE_GATEWAY", pattern=r"^[\w.-]+:\d{1,5}$")
    """`host:port` of the one server that stands for all gateways of the fake provider."""
    spares: int = Field(2, alias="POOL_SPARE_COUNT", ge=0, le=1000)
    pool_policy: Literal["fixed", "adaptive"] = Field("fixed", alias="POOL_POLICY")
    """Whether the number of spares follows what was recorded, hour by hour of the week."""
    missed_share: float = Field(0.01, alias="POOL_MISSED_SHARE", gt=0, le=0.5)
    """The share of arrivals that may find no spare, where it does."""
    spares_most: int = Field(20, alias="POOL_SPARE_MOST", ge=1, le=1000)
    """The most spares that it keeps of itself."""
    spread: bool = Field(default=True, alias="POOL_SPREAD")
    """Whether a spare is kept in each zone that holds a volume, where there are as many spares as such zones."""
    elsewhere_minutes: float = Field(5.0, alias="OTHER_ZONE_AFTER_MINUTES", ge=0, le=1440)
    """How long an instance waits for a machine in the zone of its volume, before that is copied to another zone; 0 for ever."""
    fleet_cap: int = Field(50, alias="FLEET_CAP", ge=1, le=10_000)
    warmth: Warmth = Field(Warmth.HOT, alias="POOL_WARMTH")
    instances_per_user: int = Field(10, alias="INSTANCES_PER_USER", ge=1)
    instances_total: int = Field(100, alias="INSTANCES_TOTAL", ge=1)
    retention_days: float = Field(7.0, alias="RETENTION_DAYS", ge=0, le=3650)
    """How long a deleted instance can be brought back."""
    points_every_hours: float = Field(24.0, alias="RESTORE_POINTS_EVERY_HOURS", ge=0, le=8760)
    """Of each instance that runs; 0 makes none on a schedule."""
    points_keep: int = Field(7, alias="RESTORE_POINTS_KEEP", ge=1, le=1000)
    """Of each instance."""
    archive_mb: int = Field(2048, alias="ARCHIVE_MB", ge=1, le=1 << 20)
    """The largest archive that a user may bring, packed; unpacked it may be four times that."""
    take_over: str | None = Field(None, alias="TAKE_OVER", pattern=r"^[0-9a-f]{8}$")
    """The mark of another platform, whose database is lost and whose machines, volumes and credentials this one takes over."""
    events_days: float = Field(90.0, alias="EVENTS_DAYS", ge=1, le=3650)
    """How long events are kept."""
    machines_days: float = Field(30.0, alias="MACHINES_DAYS", ge=1, le=3650)
    """How long the record of a machine that is gone is kept."""
    backup_every_hours: float = Field(0.0, alias="BACKUP_EVERY_HOURS", ge=0, le=8760)
    """0 makes none."""
    backup_dir: Path | None = Field(None, alias="BACKUP_DIR")
    backup_keep: int = Field(7, alias="BACKUP_KEEP", ge=1, le=10_000)
    backup_passphrase: SecretStr | None = Field(None, alias="BACKUP_PASSPHRASE")
    backup_passphrase_file: Path | None = Field(None, alias="BACKUP_PASSPHRASE_FILE")
    admin_email: str | None = Field(None, alias="OPENCLAW_HOSTED_ADMIN_EMAIL")
    admin_password: SecretStr | None = Field(None, alias="OPENCLAW_HOSTED_ADMIN_PASSWORD")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="LOG_LEVEL")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, and nothing else."""
        return init_settings, env_settings

    @field_validator("data_dir", "backup_dir", "backup_passphrase_file", "acme_ca_root")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("log_level", "machines", "provider", "warmth", "tls", "routing", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _are_networks(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        return parse_networks(value)

    @field_validator("local_models", mode="before")
    @classmethod
    def _are_servers(cls, value: str | tuple[LocalModel, ...]) -> tuple[LocalModel, ...]:
        return parse_local_models(value)

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("give scheme and host only, such as https://claw.example.com")
        return as_browsers_write(value)

    @field_validator("other_urls", mode="before")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        words = value.replace(",", " ").split() if isinstance(value, str) else value
        return tuple(cls._is_address(word) for word in words)

    @field_validator("database")
    @classmethod
    def _is_known_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("sqlite", "postgres")):
            raise ValueError(
                "give postgresql://USER:PASSWORD@HOST/NAME or sqlite:////PATH, or leave it out for SQLite in the data directory"
            )
        return value

    @field_validator("acme_ca")
    @classmethod
    def _is_directory(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme != "https" or not urlsplit(value).hostname):
            raise ValueError("give the URL of an ACME directory, such as https://ca.example.com/acme/acme/directory")
        return value

    @model_validator(mode="before")
    @classmethod
    def _listen_as_https_does(cls, given: dict[str, Any]) -> dict[str, Any]:
        if str(given.get("TLS", Tls.OFF)).lower() in (Tls.INTERNAL, Tls.ACME):
            return {"PORT": HTTPS_PORT, "HOST": EVERYWHERE, **given}
        return given

    @model_validator(mode="after")
    def _has_name_for_certificate(self) -> Settings:
        if self.tls is Tls.OFF:
            return self
        if not self.public_url.startswith("https://"):
            raise ValueError(f"TLS={self.tls} needs PUBLIC_URL=https://NAME, the address that users open")
        if self.tls is Tls.ACME and not _is_public_name(self.public_host):
            raise ValueError("TLS=acme needs a host name in PUBLIC_URL that the world can resolve; TLS=internal takes any, and numbers")
        if self.http_port == self.port:
            raise ValueError("HTTP_PORT and PORT are the same; HTTP_PORT=0 makes no redirect")
        return self

    @model_validator(mode="after")
    def _are_reached_alike(self) -> Settings:
        if not self.other_urls:
            return self
        if self.provider is Provider.AWS:
            raise ValueError("OTHER_URLS is for one computer; on AWS each load balancer has its address in SHARD_URLS. Leave it out")
        scheme = urlsplit(self.address).scheme
        if any(urlsplit(url).scheme != scheme for url in self.other_urls):
            raise ValueError(f"OTHER_URLS: write them with {scheme}://, as PUBLIC_URL: the session cookie holds for one scheme only")
        if self.tls is Tls.ACME and not all(_is_public_name(urlsplit(url).hostname or "") for url in self.other_urls):
            raise ValueError("OTHER_URLS: TLS=acme gets certificates only for host names that the world can resolve")
        return self

    @model_validator(mode="after")
    def _admin_is_whole(self) -> Settings:
        if self.admin_password is not None and self.admin_email is None:
            raise ValueError("OPENCLAW_HOSTED_ADMIN_PASSWORD is set without OPENCLAW_HOSTED_ADMIN_EMAIL; set both, or neither")
        if self.admin_email is not None and self.admin_password is None:
            raise ValueError("OPENCLAW_HOSTED_ADMIN_EMAIL is set without OPENCLAW_HOSTED_ADMIN_PASSWORD; set both, or neither")
        try:
            if self.admin_email is not None and self.admin_password is not None:
                clean_email(self.admin_email, "OPENCLAW_HOSTED_ADMIN_EMAIL")
                check_password(self.admin_password.get_secret_value(), "OPENCLAW_HOSTED_ADMIN_PASSWORD")
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _spares_fit(self) -> Settings:
        if "spares" in self.model_fields_set and self.spares > self.fleet_cap:
            raise ValueError(
                f"POOL_SPARE_COUNT is {self.spares}, more than FLEET_CAP, which is {self.fleet_cap}; raise that, or keep fewer"
            )
        return self

    @model_validator(mode="after")
    def _backups_are_here(self) -> Settings:
        if self.provider is Provider.AWS and self.backup_every_hours:
            raise ValueError("BACKUP_EVERY_HOURS is for the local provider; on AWS the database and the volumes are backed up there")
        return self

    @model_validator(mode="after")
    def _routes_as_it_can(self) -> Settings:
        if self.routing == "host" and self.provider is not Provider.AWS:
            raise ValueError("ROUTING=host is for PROVIDER=aws; on one computer instances share the platform's origin. Leave it out")
        return self

    @model_validator(mode="after")
    def _local_models_are_others(self) -> Settings:
        for model in self.local_models:
            if model.is_on_this_computer and self.provider is Provider.AWS:
                raise ValueError(
                    f"ALLOW_LOCAL_MODELS: {model} is the control plane itself, which no machine in AWS reaches; name another server"
                )
            if model.is_on_this_computer and (model.port < LOWEST_OPEN_PORT or model.port in self.ports or model.port in MACHINE_PORTS):
                raise ValueError(
                    f"ALLOW_LOCAL_MODELS: port {model.port} of this computer is the platform's own, for machines ({MACHINE_PORTS.start} to "
                    f"{MACHINE_PORTS.stop - 1}), or below {LOWEST_OPEN_PORT}; have the model listen on another"
                )
        return self

    @model_validator(mode="after")
    def _webhooks_stay_outside(self) -> Settings:
        if self.private_webhooks and self.provider is Provider.AWS:
            raise ValueError("ALLOW_PRIVATE_WEBHOOKS is for one computer; on AWS it would open the VPC to every user. Leave it out")
        return self

    @model_validator(mode="after")
    def _passphrase_is_one(self) -> Settings:
        if self.backup_passphrase is not None and self.backup_passphrase_file is not None:
            raise ValueError("BACKUP_PASSPHRASE and BACKUP_PASSPHRASE_FILE are both set; set one of them")
        return self

    @property
    def database_url(self) -> str:
        """Where the database is. May hold a password: never print it."""
        return self.database.get_secret_value() if self.database else f"sqlite:///{self.data_dir / 'platform.sqlite'}"

    @property
    def ports(self) -> frozenset[int]:
        """Of this computer, on which the platform itself is reached, and its database where that is a server."""
        redirect = {self.http_port} if self.tls is not Tls.OFF else set()
        database = urlsplit(self.database_url)
        return frozenset({self.port, *redirect, *([database.port or POSTGRES_PORT] if database.scheme.startswith("postgres") else [])})

    @property
    def public_host(self) -> str:
        """The host of the address that users open."""
        return urlsplit(self.address).hostname or "localhost"

    @property
    def tls_dir(self) -> Path:
        """Certificates and their keys."""
        return self.data_dir / "tls"

    @property
    def address(self) -> str:
        """The address that users open, without a trailing slash."""
        if self.public_url:
            return self.public_url
        host = "localhost" if is_everywhere(self.host) or is_loopback(self.host) else self.host
        return as_browsers_write(f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}")

    @property
    def backups_into(self) -> Path:
        """Where scheduled backups are kept."""
        return self.backup_dir or self.data_dir / "backups"

    @property
    def run_dir(self) -> Path:
        """Sockets and locks."""
        return self.data_dir / "run"


def is_everywhere(host: str) -> bool:
    """Whether who listens there is reached by all addresses of the computer."""
    return host in ("", "0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not listened on


def is_loopback(host: str) -> bool:
    """Whether who listens there is reached from this computer only."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def as_browsers_write(address: str) -> str:
    """An address of scheme and host, without a trailing slash. Raises `ValueError` for what is none."""
    origin = origin_of(address)
    if origin is None:
        raise ValueError("give scheme and host only, such as https://claw.example.com")
    return str(origin)


def _is_public_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan"))
    return False


def load_settings(arguments: Mapping[str, object] | None = None) -> Settings:
    """The settings of the environment, with `arguments` (by variable name; None means not given) on top."""
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """What is wrong with which variable, in one line, without the values."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {text}" if name else text)
    return "; ".join(lines) + "."
