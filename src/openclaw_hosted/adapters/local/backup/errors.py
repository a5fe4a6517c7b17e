"""What can be wrong with a backup."""

from __future__ import annotations

from openclaw_hosted.domain.errors import PortError


class BackupUnreadable(PortError):
    """The file is not a backup, was altered or cut short, or the passphrase is another one."""


class BackupFailed(PortError):
    """The backup could not be made."""


class TargetFailed(OSError):
    """The archive can't be written: no fault of what is read."""
