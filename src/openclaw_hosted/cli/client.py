"""One client of the platform, two ways to it: over HTTP with a token, or in this process over a data directory.

Both speak the same API, so that a command prints the same wherever its platform is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from openclaw_hosted.bootstrap import local_api
from openclaw_hosted.cli.output import CommandError, Exit, code_of_status
from openclaw_hosted.settings import load_settings

TIMEOUT_SECONDS: Final = 60.0

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="OPENCLAW_HOSTED_DATA_DIR",
        help="Data directory of a platform on this computer. Wins over OPENCLAW_HOSTED_URL when given as an option.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API answers it.")]
ActAs = Annotated[
    str | None, typer.Option("--user", metavar="EMAIL", help="Act as this user; by default as the first admin. With --data-dir only.")
]


@dataclass(frozen=True, slots=True)
class Target:
    """Which platform a command is for, and as whom."""

    data_dir: Path | None
    user: str | None = None
    needs_account: bool = False
    """Whether the command makes no sense before there is an account."""

    @property
    def remote(self) -> str | None:
        """The address of a platform elsewhere; None for one on this computer."""
        given = self.data_dir is not None and str(self.data_dir) != os.environ.get("OPENCLAW_HOSTED_DATA_DIR")
        return None if given else os.environ.get("OPENCLAW_HOSTED_URL") or None

    def open(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """The HTTP client that leads to it."""
        if self.remote is None:
            settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": self.data_dir})
            return local_api(settings, self.user, needs_account=self.needs_account)
        token = os.environ.get("OPENCLAW_HOSTED_TOKEN", "")
        if not token:
            raise CommandError("OPENCLAW_HOSTED_URL is set without OPENCLAW_HOSTED_TOKEN; make one on the Account page.", Exit.USAGE)
        if self.user is not None:
            raise CommandError("--user works with --data-dir only; over HTTP the token says who you are.", Exit.USAGE)
        return httpx.AsyncClient(base_url=self.remote.rstrip("/"), headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS)


class Api:
    """The platform's API, for commands that do one thing after the other."""

    def __init__(self, runner: asyncio.Runner, client: httpx.AsyncClient) -> None:
        self._runner = runner
        self._client = client

    def get(self, path: str, **query: str | int | bool) -> Any:
        """Read. `path` is below /api/v1."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        """Do."""
        return self._call("POST", path, json=body, headers=headers)

    def patch(self, path: str, body: object) -> Any:
        """Change."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str) -> Any:
        """Take away."""
        return self._call("DELETE", path)

    def raw(self, path: str) -> httpx.Response:
        """An answer outside of the API, whatever its status."""
        return self._send("GET", path)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._send(method, f"/api/v1{path}", **{name: value for name, value in arguments.items() if value is not None})
        if answer.is_success:
            return answer.json() if answer.content else None
        raise CommandError(_explain(answer), code_of_status(answer.status_code))

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._runner.run(self._client.request(method, path, **arguments))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise CommandError(f"The platform at {self._client.base_url} does not answer: {reason}", Exit.NOT_REACHABLE) from error


@contextmanager
def connect(target: Target) -> Iterator[Api]:
    """The API of `target`, for the length of a command."""
    with asyncio.Runner() as runner:
        opened = target.open()
        client = runner.run(_enter(opened))
        try:
            yield Api(runner, client)
        finally:
            runner.run(_leave(opened))


async def _enter(opened: AbstractAsyncContextManager[httpx.AsyncClient]) -> httpx.AsyncClient:
    return await opened.__aenter__()


async def _leave(opened: AbstractAsyncContextManager[httpx.AsyncClient]) -> None:
    await opened.__aexit__(None, None, None)


def _explain(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        fields = [f"{part['field']}: {part['message']}" for part in problem.get("errors", [])]
        return "; ".join(fields) or str(problem["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The platform answered {answer.status_code}, not as its API does. Is OPENCLAW_HOSTED_URL right?"
