"""How a command gets a secret: never as an argument, which other users of the computer could see."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import typer

from openclaw_hosted.cli.output import CommandError, Exit

KEY_WAY_OUT: Final = "Pipe it in, with --api-key-stdin, or name a file, with --api-key-file."


def read_secret(what: str, *, from_stdin: bool, file: Path | None, way_out: str) -> str:
    """A secret from standard input, a file, or a prompt that does not echo. `way_out` says what to do where nobody can be asked."""
    if from_stdin and file is not None:
        raise CommandError("Give the secret by standard input or by file, not both.", Exit.USAGE)
    if file is not None:
        try:
            return file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} can't be read: {error}", Exit.USAGE) from error
    if from_stdin:
        secret = sys.stdin.read().rstrip("\r\n")
        if not secret:
            raise CommandError(f"The {what} is missing: standard input is empty. {way_out}", Exit.USAGE)
        return secret
    if not sys.stdin.isatty():
        raise CommandError(f"The {what} is missing, and there is no terminal to ask on. {way_out}", Exit.USAGE)
    return str(typer.prompt(what, hide_input=True, err=True))
