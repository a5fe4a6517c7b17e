"""One client of the platform, three ways to it: over HTTP with a token; through the local socket of one that runs on this computer; or in
this process, over the data directory of one that does not run.

All speak the same API, so that a command prints the same wherever its platform is. The first two load nothing of the platform.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from openclaw_hosted import datadir, local_socket
from openclaw_hosted.cli.output import CommandError, Exit, code_of_status
from openclaw_hosted.contexts import Context, load

if TYPE_CHECKING:
    from openclaw_hosted.cli.ways import Answer, Way

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="OPENCLAW_HOSTED_DATA_DIR",
        help="Data directory of a platform on this computer. Wins over OPENCLAW_HOSTED_URL when given as an option.",
        show_default=False,
    ),
]
PAGE = 500
INTERNAL_ERROR: Final = 500
_LISTS: Final = {
    "There is no account ": "users list", "There is no such account": "users list", "There is no instance ": "instances list --all",
    "There is no machine ": "machines list", "There is no restore point ": "restore-points list INSTANCE",
    "There is no such token": "tokens list",
}  # fmt: skip
"""The commands that list what an answer says does not exist."""
"""How many items of a list are asked for at once."""
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
    creates: bool = False
    """Whether it makes a platform where there is none."""

    @property
    def remote(self) -> Context | None:
        """The platform elsewhere that this is, named by OPENCLAW_HOSTED_URL or by a context; None for one on this computer."""
        directory, address, name = (os.environ.get(f"OPENCLAW_HOSTED_{name}") for name in ("DATA_DIR", "URL", "CONTEXT"))
        if self.data_dir is not None and str(self.data_dir) != directory:
            return None
        if address:
            return Context(address, os.environ.get("OPENCLAW_HOSTED_TOKEN", ""))
        if directory and not name:
            return None
        known = load()
        return known.get(name or known.current)

    @property
    def runs(self) -> bool:
        """Whether a platform on this computer answers on its local socket. Raises `CommandError` where only another user may ask it."""
        directory = datadir.absolute(self.data_dir)
        try:
            return local_socket.answers(directory)
        except PermissionError:
            raise CommandError(
                f"{directory} belongs to another user of this computer; run the command as that user.", Exit.NOT_ALLOWED
            ) from None

    @contextmanager
    def way(self) -> Iterator[Way]:
        """The way that leads to it, for the length of the block."""
        if self.remote is None and not self.runs:
            from openclaw_hosted.cli.offline import in_this_process
            from openclaw_hosted.settings import load_settings

            settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": self.data_dir})
            with in_this_process(settings, self._as_whom, create=self.creates) as way:
                yield way
            return
        if self.user is not None and self.remote is not None:
            raise CommandError("--user works with --data-dir only; over HTTP the token says who you are.", Exit.USAGE)
        with closing(self._through_socket() if self.remote is None else _over_http(self.remote)) as way:
            yield way

    def _through_socket(self) -> Way:
        from openclaw_hosted.cli.ways import ThroughSocket

        return ThroughSocket(local_socket.path_of(datadir.absolute(self.data_dir)), self._as_whom)

    @property
    def _as_whom(self) -> dict[str, str]:
        named = {} if self.user is None else {local_socket.ACT_AS: quote(self.user)}
        return named | ({local_socket.NEEDS_ACCOUNT: "yes"} if self.needs_account else {})


class Api:
    """The platform's API, for commands that do one thing after the other."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def get(self, path: str, **query: str | int | bool) -> Any:
        """Read. `path` is below /api/v1."""
        return self._call("GET", path, query=query)

    def every(self, path: str, *, most: int | None = None, **query: str | int | bool) -> list[Any]:
        """The items of a list, however many pages it has: all, or the first so many."""
        found: list[Any] = []
        while most is None or len(found) < most:
            answered = self.get(path, **query, limit=PAGE if most is None else min(PAGE, most - len(found)))
            found += answered["items"]
            if answered.get("next") is None:
                break
            query["after"] = answered["next"]
        return found

    def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """Do."""
        return self._call("POST", path, body=body, headers=headers)

    def patch(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Any:
        """Change."""
        return self._call("PATCH", path, body=body, headers=headers)

    def delete(self, path: str) -> Any:
        """Take away."""
        return self._call("DELETE", path)

    def send_file(self, path: str, file: Path) -> Any:
        """Do, with a file as what is sent."""
        return self._call("POST", path, file=file)

    def fetch(self, path: str, target: IO[bytes]) -> None:
        """Read into a file."""
        from openclaw_hosted.cli.ways import Request

        answer = self._way.fetch(Request("GET", f"/api/v1{path}", {}, None, {}), target)
        if not 200 <= answer.status < 300:
            raise CommandError(_explain(answer), code_of_status(answer.status))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Whatever the API has."""
        return self._call(method, path, body=body)

    def raw(self, path: str) -> Answer:
        """An answer outside of the API, whatever its status."""
        return self._send("GET", path)

    def _call(self, method: str, path: str, **parts: Any) -> Any:
        answer = self._send(method, f"/api/v1{path}", **parts)
        if 200 <= answer.status < 300:
            return answer.json() if answer.content else None
        raise CommandError(_explain(answer), code_of_status(answer.status))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | bool] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Answer:
        from openclaw_hosted.cli.ways import Request

        return self._way.send(Request(method, path, query or {}, body, headers or {}, file))


@contextmanager
def connect(target: Target) -> Iterator[Api]:
    """The API of `target`, for the length of a command."""
    with target.way() as way:
        yield Api(way)


@contextmanager
def connect_to(context: Context) -> Iterator[Api]:
    """The API of a platform elsewhere, for the length of a command."""
    with closing(_over_http(context)) as way:
        yield Api(way)


def _over_http(context: Context) -> Way:
    if not context.token:
        raise CommandError("OPENCLAW_HOSTED_URL is set without OPENCLAW_HOSTED_TOKEN; make one on the Account page.", Exit.USAGE)
    import httpx

    from openclaw_hosted.cli.ways import TIMEOUT_SECONDS, OverHttp

    headers = {"Authorization": f"Bearer {context.token}"}
    return OverHttp(httpx.Client(base_url=context.url.rstrip("/"), headers=headers, timeout=TIMEOUT_SECONDS))


def _explain(answer: Answer) -> str:
    try:
        problem = answer.json()
        fields = [f"{part['field']}: {part['message']}" for part in problem.get("errors", [])]
        text = "; ".join(fields) or str(problem["detail"])
        if answer.status == INTERNAL_ERROR:
            text += f" Look there for {problem['request_id']}." if problem.get("request_id") else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The platform answered {answer.status}, not as its API does. Is its address right?"
    command = next((command for start, command in _LISTS.items() if text.startswith(start) and "openclaw-hosted" not in text), None)
    return text if command is None else f"{text} Look at: openclaw-hosted {command}"
