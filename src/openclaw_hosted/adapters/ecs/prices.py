"""What the older system's things cost in a month of 730 hours, in US dollars, by list prices of us-west-2. Traffic is not in it."""

from __future__ import annotations

from typing import Final

HOURS: Final = 730.0
FARGATE_VCPU: Final = 0.04048
FARGATE_GIB: Final = 0.004445
NAT_GATEWAY: Final = 0.045
ADDRESS: Final = 0.005
EFS_GIB: Final = 0.30
SECRET: Final = 0.40
LOG_GIB: Final = 0.03
MACHINES: Final = {
    "t3.micro": 0.0104, "t3.small": 0.0208, "t3.medium": 0.0416, "t3.large": 0.0832, "t3a.medium": 0.0376, "t4g.medium": 0.0336,
    "m5.large": 0.096, "m6i.large": 0.096, "c5.large": 0.085,
}  # fmt: skip
"""On demand, an hour. Those above t3.small from common knowledge: check before quoting."""


def fargate(cpu_units: int, memory_mib: int, tasks: int) -> float:
    """Tasks that run all month. 1024 units are a processor."""
    return tasks * HOURS * (cpu_units / 1024 * FARGATE_VCPU + memory_mib / 1024 * FARGATE_GIB)
