"""Load balancers side by side: each holds so many routes and no more, and an instance's id names its own for good.

The first character after `oc-` is the number of the shard, so that an address can be told from an id alone, by every replica, before
and after a crash, and never moves when another load balancer is added at the end of the list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.naming import ID_ALPHABET, InstanceId

MOST_SHARDS = len(ID_ALPHABET)


def shard_of(instance_id: InstanceId) -> int:
    """The number of the load balancer that this id belongs to, from 0."""
    return ID_ALPHABET.index(instance_id.removeprefix("oc-")[0])


@dataclass(frozen=True, slots=True)
class Shards:
    """How many load balancers there are, and how many routes each is planned for; `count` 0: there is nothing to choose."""

    count: int = 0
    capacity: int = 80
    """An Application Load Balancer takes 100 target groups, which can't be raised; some are the platform's own or in transit."""

    def allot(self, routed: Iterable[InstanceId], wanted: int) -> list[int]:
        """The shards for `wanted` more ids, the emptiest first; fewer where all are full. `routed` are the ids in use."""
        used = Counter(shard_of(instance_id) for instance_id in routed)
        chosen: list[int] = []
        for _ in range(wanted):
            emptiest = min(range(self.count), key=lambda shard: (used[shard], shard))
            if used[emptiest] >= self.capacity:
                break
            used[emptiest] += 1
            chosen.append(emptiest)
        return chosen

    @property
    def full(self) -> str:
        """What is said when no shard has room."""
        return (
            f"All {self.count} load balancers are full ({self.capacity} routes each). "
            "An operator can add another at the end of ALB_LISTENER_ARN."
        )


NO_BALANCER: Final = Shards(1, 1_000_000)
"""Without load balancers nothing is ever full, and each id is one of the first: so a load balancer can be added later."""
