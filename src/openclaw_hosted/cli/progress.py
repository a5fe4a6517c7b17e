"""What is being done, on the terminal: a moving line where there is one, else a line for each step."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from openclaw_hosted.cli.output import err

if TYPE_CHECKING:
    from rich.status import Status

LINE_EVERY_SECONDS = 5.0


class Progress:
    """Told of steps and how they get on. Usable as the `progress` of bootstrap."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Status | None = None
        self._step = ""
        self._last_line_at = 0.0

    def __call__(self, text: str) -> None:
        """Say what is being done now."""
        if self._quiet or text == self._step:
            return
        same_step = bool(self._step) and text.split(":", maxsplit=1)[0] == self._step.split(":")[0]
        self._step = text
        if err.is_terminal:
            if self._status is None:
                self._status = err.console.status(text)
                self._status.start()
            self._status.update(text)
        elif not same_step or time.monotonic() - self._last_line_at >= LINE_EVERY_SECONDS:
            self._last_line_at = time.monotonic()
            err.print(f"{text} …", markup=False)

    def close(self) -> None:
        """Nothing more is being done."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
