"""What the emulated API asks of the world behind it. All calls come from the API's own threads and may block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """An EC2 instance as RunInstances or CreateFleet made it, before it boots."""

    instance_id: str
    zone: str
    instance_type: str
    user_data: str
    """As the machine reads it: not base64."""
    role_name: str | None
    """Of its instance profile; None for a machine without one."""
    volumes: Mapping[str, tuple[str, int]]
    """Device name, such as `/dev/sdf`, to EBS volume id and size in GiB; the root disk is not among them."""
    hop_limit: int = 1
    tags_in_metadata: bool = True
    boot_seconds: float = 0.0
    """From launch until the operating system runs the user data."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended on a machine."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool = False


class Rebooted(LookupError):
    """A reboot ended the command: its machine comes back, and its agent tells of it then."""


class Power(StrEnum):
    """How a machine is, as the data plane sees it."""

    BOOTING = "booting"
    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"


class Machines(Protocol):
    """The machines behind EC2 and SSM."""

    def launch(self, order: MachineOrder) -> str:
        """Begin to boot a machine; returns its private IPv4 address at once. The user data runs in the background."""
        ...

    def power(self, instance_id: str) -> Power:
        """How it is now."""
        ...

    def stop(self, instance_id: str) -> None:
        """Power it off; its disks stay."""
        ...

    def start(self, instance_id: str) -> None:
        """Boot a stopped one again, with the same address and disks; user data does not run again."""
        ...

    def reboot(self, instance_id: str) -> None:
        """Have its operating system start anew: processes, mounts and rules of the firewall are gone, disks stay, user data does not run
        again. Commands that run end with it."""
        ...

    def terminate(self, instance_id: str) -> None:
        """End it for good, also one that runs a gateway. Returns once it is gone, its volumes detached. Does nothing twice."""
        ...

    def run(self, instance_id: str, script: str, timeout_seconds: float) -> CommandResult:
        """Run a script with the shell, as root, as Run Command does. Raises `LookupError` for a machine that does not run, or goes away
        meanwhile; `Rebooted` where it comes back."""
        ...

    def attach(self, instance_id: str, device: str, volume_id: str) -> None:
        """Have a volume appear as a disk."""
        ...

    def detach(self, volume_id: str, *, force: bool = False) -> bool:
        """Take a volume away; False while it is in use there and `force` is not given."""
        ...

    def create_volume(self, volume_id: str, size_gib: int) -> None:
        """Make an empty disk, attached to nothing."""
        ...

    def delete_volume(self, volume_id: str) -> None:
        """Destroy a disk."""
        ...

    def close(self) -> None:
        """End and remove everything that was made."""
        ...


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata address tells one machine."""

    instance_id: str
    zone: str
    region: str
    role_name: str | None
    credentials: Mapping[str, str]
    """`AccessKeyId`, `SecretAccessKey`, `Token`, `Expiration`; empty without a role."""
    tags: Mapping[str, str]
    interruption: Mapping[str, str] | None = None
    """The body of `spot/instance-action`, once there is a notice."""
    rebalance: Mapping[str, str] | None = None
    """The body of `events/recommendations/rebalance`, once EC2 recommends it."""
    public_ipv4: str | None = None
    ipv6: str | None = None


MetadataSource = Callable[[str], Metadata]
"""From an instance id to what it may know. Raises `LookupError`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a target group."""

    address: str
    """IPv4."""
    port: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a target group is checked."""

    path: str
    port: int | None
    """None: the target's own."""
    interval_seconds: float
    timeout_seconds: float
    healthy_threshold: int
    unhealthy_threshold: int
    statuses: frozenset[int]


@dataclass(frozen=True, slots=True)
class Group:
    """A target group."""

    arn: str
    targets: Mapping[str, Target]
    """By `id:port`."""
    check: HealthCheck


@dataclass(frozen=True, slots=True)
class Rule:
    """A listener rule: all conditions hold, each by one of its values (with `*` and `?`)."""

    priority: int
    paths: tuple[str, ...]
    hosts: tuple[str, ...]
    forward: Mapping[str, int]
    """Target group ARN to weight."""
    fixed: tuple[int, str, str] | None = None
    """Status, content type and body, where the rule answers by itself."""
    redirect: tuple[int, str] | None = None
    """Status and location."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener as it is now, the default action as the last rule (priority 50001)."""

    arn: str
    port: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer as it is now."""

    arn: str
    dns_name: str
    listeners: tuple[Listener, ...]
    groups: Mapping[str, Group]
    idle_timeout_seconds: float = 60.0


Topology = Callable[[], tuple[Balancer, ...]]
"""The load balancers as the API has them now: cheap, and may be called often."""


class Balancers(Protocol):
    """The load balancers behind ELBv2."""

    def address(self, arn: str, port: int) -> tuple[str, int]:
        """Where a listener of this load balancer can be reached on this computer: IPv4 address and port."""
        ...

    def health(self, group_arn: str, target: str) -> str:
        """`initial`, `healthy`, `unhealthy`, `unused` or `draining`, of the target `id:port`."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...
