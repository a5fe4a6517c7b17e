"""`openclaw-hosted cost`: what it costs, and what more users would cost."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, out, print_json, print_table, say
from openclaw_hosted.logging import logging_to

DEFAULT_SPARES: Final = 2
MOST: Final = 100_000
WHAT_IT_IS: Final = "An estimate in US dollars for a month of 730 hours, from list prices of us-west-2; traffic and taxes are not in it."
FREE: Final = "Machines here cost nothing; on AWS, as many users and spares would cost:"


def cost(
    users: Annotated[
        int | None, typer.Option("--users", min=0, max=MOST, help="Plan for so many users on AWS; asks no platform.", show_default=False)
    ] = None,
    spares: Annotated[
        int | None, typer.Option("--spares", min=0, max=MOST, help="With --users: so many spares; 2 unless given.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """See what this deployment costs in a month, or plan for more users.

    Without options: what exists now, by component and for each user. With --users: what that many would cost on AWS, with the machines and
    prices of USER_INSTANCE_TYPE, SPOT_PRICE_PER_HOUR and the like; no platform has to run.
    """
    if users is not None:
        planned = _plan(users, DEFAULT_SPARES if spares is None else spares)
        if as_json:
            print_json(planned)
        else:
            _print(planned)
        return
    if spares is not None:
        raise CommandError("--spares needs --users: the platform's own spares are in what exists.", Exit.USAGE)
    with connect(Target(data_dir)) as api:
        report = api.get("/cost")
    if as_json:
        print_json(report)
        return
    if report["now"] is None:
        out.print(FREE, markup=False)
    _print(report["now"] or report["projection"])


@logging_to("warning", None)
def _plan(users: int, spares: int) -> dict[str, Any]:
    from dataclasses import asdict

    from openclaw_hosted.bootstrap import planned_deployment
    from openclaw_hosted.domain.cost import projection

    return asdict(projection(users, spares, planned_deployment()))


def _print(estimate: dict[str, Any]) -> None:
    rows: list[tuple[object, ...]] = [(line["component"], f"{line['usd']:.2f}", line["detail"]) for line in estimate["lines"]]
    rows.append(("together", f"{estimate['total_usd']:.2f}", ""))
    if estimate["per_user_usd"] is not None:
        rows.append(("for each user", f"{estimate['per_user_usd']:.2f}", f"of {estimate['users']}"))
    print_table(("COMPONENT", "$ A MONTH", "WHAT"), rows, "Nothing exists.")
    say(WHAT_IT_IS)
    if estimate["note"]:
        say(estimate["note"])
