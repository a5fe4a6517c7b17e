"""The platforms that a user of this computer is signed in to: an address and a token each, in a file that only they can read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotFound, OpenClawHostedError

LOCAL: Final = "local"
"""The name that stands for the platform on this computer."""
FILE: Final = Path("openclaw-hosted/contexts.json")


class ContextsError(OpenClawHostedError):
    """The file can't be read."""


@dataclass(frozen=True, slots=True, repr=False)
class Context:
    """A platform, and the token with which to ask it. Its token is never printed."""

    url: str
    token: str


@dataclass(frozen=True, slots=True, repr=False)
class Contexts:
    """All contexts by name, and the one that commands are for; `LOCAL` for this computer."""

    known: Mapping[str, Context]
    current: str = LOCAL

    def get(self, name: str) -> Context | None:
        """The context of this name; None for `LOCAL`. Raises `NotFound`."""
        if name == LOCAL:
            return None
        if name not in self.known:
            raise NotFound(f"There is no context {name!r}. `openclaw-hosted contexts list` shows those that there are.")
        return self.known[name]

    def with_one(self, name: str, context: Context) -> Contexts:
        """With this one, which becomes the current one. Raises `InvalidInput` for a name that can't serve."""
        if name == LOCAL or not name or not name.isprintable() or name != name.strip():
            raise InvalidInput(FieldProblem("name", f"Choose another name than {name!r}; `{LOCAL}` stands for this computer."))
        return Contexts({**self.known, name: context}, name)

    def without(self, name: str) -> Contexts:
        """Without this one; this computer is the current one where it was."""
        known = {other: context for other, context in self.known.items() if other != name}
        return Contexts(known, LOCAL if self.current == name else self.current)


def path() -> Path:
    """Where they are kept: below XDG_CONFIG_HOME, by default ~/.config."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / FILE


def load() -> Contexts:
    """What is kept. Raises `ContextsError` for a file that is not ours."""
    try:
        body = json.loads(path().read_text())
        known = {str(name): Context(str(kept["url"]), str(kept["token"])) for name, kept in body["contexts"].items()}
        return Contexts(known, str(body["current"]))
    except FileNotFoundError:
        return Contexts({})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContextsError(f"{path()} can't be read ({type(error).__name__}). Mend or remove it, and sign in again.") from None


def save(contexts: Contexts) -> None:
    """Keep them, in place of what was kept before."""
    target = path()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    known = {name: asdict(context) for name, context in contexts.known.items()}
    draft.write_text(json.dumps({"current": contexts.current, "contexts": known}, indent=2))
    draft.replace(target)
