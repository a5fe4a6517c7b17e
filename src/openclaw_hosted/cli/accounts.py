"""`openclaw-hosted users` and `tokens`: who may come in, and with what."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import ActAs, Api, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, out, print_fields, print_json, print_table, say, when
from openclaw_hosted.cli.secrets import read_secret
from openclaw_hosted.domain.account import Role, fold_email

users = typer.Typer(no_args_is_help=True, help="Accounts and invitations.")
tokens = typer.Typer(no_args_is_help=True, help="API tokens.")

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="E-mail address of the account.")]
Admin = Annotated[bool, typer.Option("--admin", help="Make it an admin.")]


@users.command(name="list")
@users.command(name="ls", hidden=True)
def list_users(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List accounts, oldest first."""
    with connect(Target(data_dir)) as api:
        items = api.get("/users")["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["email"], item["role"], "disabled" if item["disabled"] else "active", when(item["created_at"]), item["id"]) for item in items
    ]
    print_table(("E-MAIL", "ROLE", "STATE", "SINCE", "ID"), rows, "No account yet: openclaw-hosted users create EMAIL --admin")


@users.command(name="create")
def create_user(
    email: Email,
    admin: Admin = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create an account with a password on this computer's platform. For a platform elsewhere, use `invite`."""
    if Target(data_dir).remote is not None:
        raise CommandError("An account with a password is made on the platform's own computer; use `users invite` over HTTP.", Exit.USAGE)
    password = read_secret("password", from_stdin=password_stdin, file=None, way_out="Pipe it in, with --password-stdin.")
    account = {"email": email, "password": password, "role": Role.ADMIN if admin else Role.USER}
    with connect(Target(data_dir, creates=True)) as api:
        _print(api.post("/local/users", account), as_json=as_json)


@users.command()
def invite(email: Email, admin: Admin = False, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print a one-time link with which someone sets a password and joins. It is valid for a week."""
    with connect(Target(data_dir)) as api:
        _link(api.post("/users/invite", {"email": email, "role": Role.ADMIN if admin else Role.USER}), as_json=as_json)


@users.command(name="reset-link")
def reset_link(email: Email, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print a one-time link with which a user sets a new password. It is valid for a day."""
    with connect(Target(data_dir)) as api:
        _link(api.post(f"/users/{_by_email(api, email)['id']}/reset-link"), as_json=as_json)


@users.command()
def disable(email: Email, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Disable an account at once. Sessions, links and tokens end; instances keep running."""
    with connect(Target(data_dir)) as api:
        _print(api.post(f"/users/{_by_email(api, email)['id']}/disable"), as_json=as_json)


@users.command()
def enable(email: Email, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Enable a disabled account."""
    with connect(Target(data_dir)) as api:
        _print(api.post(f"/users/{_by_email(api, email)['id']}/enable"), as_json=as_json)


@users.command()
def role(
    email: Email,
    role: Annotated[Role, typer.Argument(help="The new role.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a user an admin, or an admin a user. Sessions, links and tokens end."""
    with connect(Target(data_dir)) as api:
        _print(api.post(f"/users/{_by_email(api, email)['id']}/role", {"role": role}), as_json=as_json)


@tokens.command(name="create")
def create_token(
    label: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Create an API token and print it. It is shown only once."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        made = api.post("/tokens", {"label": label})
    if as_json:
        print_json(made)
    else:
        out.print(made["token"], markup=False)
        say("Keep it like a password; it is not shown again. Send it as `Authorization: Bearer …`.")


@tokens.command(name="list")
@tokens.command(name="ls", hidden=True)
def list_tokens(data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """List a user's tokens, without their secrets."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        items = api.get("/tokens")["items"]
    if as_json:
        print_json({"items": items})
    else:
        print_table(("ID", "LABEL", "SINCE"), [(item["id"], item["label"], when(item["created_at"])) for item in items], "No token.")


@tokens.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `tokens list` shows it.")],
    data_dir: DataDir = None,
    user: ActAs = None,
) -> None:
    """Revoke a token."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        api.delete(f"/tokens/{quote(token, safe='')}")
    say(f"Token {token} is revoked.")


def _by_email(api: Api, email: str) -> Any:
    address = fold_email(email)
    for item in api.get("/users")["items"]:
        if item["email"] == address:
            return item
    raise CommandError(f"There is no account {email.strip()[:60]!r}. List accounts: openclaw-hosted users list", Exit.NOT_FOUND)


def _link(answered: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(answered)
    else:
        out.print(answered["url"], markup=False)


def _print(user: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
    else:
        print_fields({name: when(value) if name.endswith("_at") else value for name, value in user.items()})
