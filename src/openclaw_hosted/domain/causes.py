"""What can be the cause of an instance that does not answer, and what mends it, in words for operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class LikelyCause(StrEnum):
    """Causes, those first from which others follow: of several, the first is the likely one."""

    DELETED = "deleted"
    POOL_PAUSED = "pool_paused"
    NO_CAPACITY = "no_capacity"
    FLEET_CAP = "fleet_cap"
    LAUNCHES_FAIL = "launches_fail"
    WAITS_FOR_MACHINE = "waits_for_machine"
    CLOCK_WRONG = "clock_wrong"
    MACHINE_GONE = "machine_gone"
    MACHINE_STOPPED = "machine_stopped"
    MACHINE_BOOTING = "machine_booting"
    DISK_FULL = "disk_full"
    SETTINGS_REFUSED = "settings_refused"
    OUT_OF_MEMORY = "out_of_memory"
    GATEWAY_ENDED = "gateway_ended"
    GATEWAY_HANGS = "gateway_hangs"
    GATEWAY_STARTING = "gateway_starting"
    WRONG_GATEWAY = "wrong_gateway"
    ROUTE_MISSING = "route_missing"
    ROUTE_ELSEWHERE = "route_elsewhere"
    NAME_UNKNOWN = "name_unknown"
    TARGET_UNREACHED = "target_unreached"
    KEY_REFUSED = "key_refused"

    @property
    def rank(self) -> int:
        """Lower is nearer to the root."""
        return list(LikelyCause).index(self)


@dataclass(frozen=True, slots=True)
class Advice:
    """A cause in words, what mends it, and the runbook that says more, if there is one."""

    what: str
    fix: str
    runbook: str | None = None


ADVICE: Final[Mapping[LikelyCause, Advice]] = {
    LikelyCause.DELETED: Advice(
        "Its owner deleted it.", "To bring it back while its data is kept: openclaw-hosted instances restore INSTANCE"
    ),
    LikelyCause.POOL_PAUSED: Advice("The pool is paused, so no machine is launched.", "openclaw-hosted pool resume", "pool-depleted"),
    LikelyCause.NO_CAPACITY: Advice(
        "The provider has no such machine to give just now.",
        "Wait, or allow more kinds of machines: EXTRA_INSTANCE_TYPES, more zones, ON_DEMAND_REPLACEMENTS. The pool asks again by itself.",
        "pool-depleted",
    ),
    LikelyCause.FLEET_CAP: Advice(
        "The fleet has reached FLEET_CAP, the most machines at once.", "Raise FLEET_CAP, or delete what nobody uses.", "pool-depleted"
    ),
    LikelyCause.LAUNCHES_FAIL: Advice(
        "New machines do not launch, or are not ready in time: a bad image, a quota or a permission.",
        "See what the last one said: openclaw-hosted pool show. Mend that, then: openclaw-hosted pool resume",
        "launch-failures",
    ),
    LikelyCause.WAITS_FOR_MACHINE: Advice(
        "No machine is free yet; the pool makes one.", "Wait for some minutes. Keep more spares if this happens often.", "pool-depleted"
    ),
    LikelyCause.CLOCK_WRONG: Advice(
        "The clocks of the control plane, its database and the machine disagree.",
        "Set them by NTP: timedatectl set-ntp true. Certificates, signatures and sessions fail until they agree.",
    ),
    LikelyCause.MACHINE_GONE: Advice(
        "Its machine is gone.",
        "The platform replaces it within a minute. If it does not, look at the pool: openclaw-hosted pool show",
    ),
    LikelyCause.MACHINE_STOPPED: Advice(
        "Its machine is stopped, or is shutting down.",
        "The platform starts or replaces it within a minute. If it does not: openclaw-hosted machines interrupt MACHINE",
    ),
    LikelyCause.MACHINE_BOOTING: Advice("Its machine is still booting.", "Wait for some minutes.", "launch-failures"),
    LikelyCause.DISK_FULL: Advice(
        "The disk is full.",
        "Ask its user to delete files, delete the instance, or make the disk larger: DATA_VOLUME_GIB on AWS.",
        "disk-full",
    ),
    LikelyCause.SETTINGS_REFUSED: Advice(
        "OpenClaw refuses to start with its settings.",
        "Its owner changes them on the page Settings. What OpenClaw says: openclaw-hosted instances logs INSTANCE --level error",
        "crash-loops",
    ),
    LikelyCause.OUT_OF_MEMORY: Advice(
        "Its OpenClaw was ended because memory ran out.",
        "Use a machine with more memory (USER_INSTANCE_TYPE), or fewer channels and tools at once.",
        "crash-loops",
    ),
    LikelyCause.GATEWAY_ENDED: Advice(
        "Its OpenClaw is not running.",
        "openclaw-hosted instances restart INSTANCE. Why it ended: openclaw-hosted instances logs INSTANCE",
        "crash-loops",
    ),
    LikelyCause.GATEWAY_HANGS: Advice(
        "Its OpenClaw runs and does not answer.",
        "The platform ends it by force within a minute. At once: openclaw-hosted instances restart INSTANCE",
        "gateway-hangs",
    ),
    LikelyCause.GATEWAY_STARTING: Advice("Its OpenClaw is starting.", "Wait for half a minute."),
    LikelyCause.WRONG_GATEWAY: Advice(
        "Another instance's OpenClaw answers on its machine.", "Have it moved: openclaw-hosted machines interrupt MACHINE"
    ),
    LikelyCause.ROUTE_MISSING: Advice(
        "Nothing leads to it at its address.", "Have it built anew: openclaw-hosted instances restart INSTANCE"
    ),
    LikelyCause.ROUTE_ELSEWHERE: Advice(
        "Its address leads to another machine.", "Have it built anew: openclaw-hosted instances restart INSTANCE"
    ),
    LikelyCause.NAME_UNKNOWN: Advice(
        "The host name of its address is not known to DNS.", "Make the record, or correct PUBLIC_URL; then ask again."
    ),
    LikelyCause.TARGET_UNREACHED: Advice(
        "Its OpenClaw answers on its machine, but not at its address.",
        "Look at the edge: openclaw-hosted status. On AWS also at the target group's health and the security groups.",
    ),
    LikelyCause.KEY_REFUSED: Advice(
        "The model's provider refuses the instance's API key.",
        "Its owner gives another one, and tries it there, on the page Settings.",
    ),
}
