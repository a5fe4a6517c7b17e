"""Where symbolic links lead, judged so that no chain of them leads out of a volume."""

from __future__ import annotations

from collections.abc import Sequence


def stays_inside(parts: Sequence[str], target: str) -> bool:
    """Whether a link that stands at `parts` below its volume leads nowhere else, and neither does a chain of links that all do so.

    A link stands in a real folder. It may go up from there, over real folders, no further than the volume, and then down by names
    alone. Where one of these is a link, the same holds from where that stands. A link that goes up again after a name does not:
    the name may be a link, and then it goes up from where that leads.
    """
    steps = [step for step in target.split("/") if step not in ("", ".")]
    ups = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    return bool(target) and not target.startswith("/") and ups < len(parts) and ".." not in steps[ups:]
