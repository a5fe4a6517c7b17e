"""What the system allows this process."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_file_limit() -> None:
    """Allow as many open files as may be allowed: the usual 1,024 is meant for programs that serve nobody."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
