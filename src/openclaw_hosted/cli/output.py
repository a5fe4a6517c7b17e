"""How answers are printed, for people and for programs, and what the exit codes mean."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final

from openclaw_hosted.choices import SettingsError
from openclaw_hosted.domain.errors import (
    Conflict,
    Denied,
    IllegalTransition,
    InvalidInput,
    NotAllowed,
    NotFound,
    OpenClawHostedError,
    StateConflict,
    Unavailable,
)

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH: Final = 240
"""Where there is no terminal, lines are not broken."""


class Terminal:
    """Standard output, or standard error. Rich is loaded by the first line that is printed."""

    def __init__(self, *, stderr: bool) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> Console:
        """What Rich prints on."""
        from rich.console import Console

        return Console(stderr=self._stderr, highlight=False, emoji=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks on."""
        return self.console.is_terminal

    def print(self, *objects: object, markup: bool | None = None, style: str | None = None, end: str = "\n") -> None:
        """Print as `Console.print` does; lines are never broken."""
        self.console.print(*objects, markup=markup, style=style, end=end)


out: Final = Terminal(stderr=False)
err: Final = Terminal(stderr=True)


def speak_in_any_locale() -> None:
    """Take arguments as UTF-8, and print what the terminal's encoding lacks as an escape: names may be in any script."""
    sys.argv = [os.fsencode(argument).decode(errors="surrogateescape") for argument in sys.argv]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Exit(IntEnum):
    """What the command's exit code says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5
    NOT_REACHABLE = 6


_BY_STATUS: Final[Mapping[int, Exit]] = {
    400: Exit.USAGE,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    422: Exit.USAGE,
    502: Exit.NOT_REACHABLE,
    503: Exit.NOT_REACHABLE,
    504: Exit.NOT_REACHABLE,
}
_BY_ERROR: Final[Mapping[type[OpenClawHostedError], Exit]] = {
    SettingsError: Exit.USAGE,
    InvalidInput: Exit.USAGE,
    NotFound: Exit.NOT_FOUND,
    NotAllowed: Exit.NOT_ALLOWED,
    Denied: Exit.NOT_ALLOWED,
    StateConflict: Exit.CONFLICT,
    IllegalTransition: Exit.CONFLICT,
    Conflict: Exit.CONFLICT,
    Unavailable: Exit.NOT_REACHABLE,
}


class CommandError(OpenClawHostedError):
    """The command failed."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


def code_of_status(status: int) -> Exit:
    """The exit code for a status of the API."""
    return _BY_STATUS.get(status, Exit.FAILED)


def code_of_error(error: OpenClawHostedError) -> Exit:
    """The exit code for an error of the platform."""
    if isinstance(error, CommandError):
        return error.code
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), Exit.FAILED)


def print_json(value: Any) -> None:
    """`value` for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """`rows` for people, or the line `empty` where there are none."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "ID")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    if table.row_count:
        if not out.is_terminal:
            out.console.width = PIPED_WIDTH
        out.print(table)
    else:
        out.print(empty, markup=False)


def print_fields(fields: Mapping[str, object]) -> None:
    """Names and values, one pair a line."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, cell(value))
    out.print(table)


def cell(value: object) -> str:
    """A value as a person reads it; nothing in it is taken for markup."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("[", r"\[")


def when(text: str | None) -> str:
    """A time of the API in local time."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else "–"


def say(line: str) -> None:
    """A line for people; never on standard output, which belongs to the data."""
    err.print(line, markup=False)
