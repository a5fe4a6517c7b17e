"""`openclaw-hosted cost`: what it costs, and what more users would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, out, print_json, print_table, say
from openclaw_hosted.logging import logging_to

DEFAULT_SPARES: Final = 2
MOST: Final = 100_000
SECONDS_PER_HOUR: Final = 3600
WHAT_IT_IS: Final = "An estimate in US dollars for a month of 730 hours, from list prices of us-west-2; traffic and taxes are not in it."
FREE: Final = "Machines here cost nothing; on AWS, as many users and spares would cost:"


app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@app.callback()
def cost(
    context: typer.Context,
    users: Annotated[
        int | None, typer.Option("--users", min=0, max=MOST, help="Plan for this many users on AWS. Needs no platform.", show_default=False)
    ] = None,
    spares: Annotated[
        int | None, typer.Option("--spares", min=0, max=MOST, help="With --users: this many spares; 2 by default.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what this deployment costs in a month, or plan for more users.

    Without options: what exists now, by component and for each user. With --users: what that many would cost on AWS, with the machines and
    prices of USER_INSTANCE_TYPE, SPOT_PRICE_PER_HOUR and the like; no platform has to run.
    """
    if context.invoked_subcommand is not None:
        return
    if users is not None:
        planned = _plan(users, DEFAULT_SPARES if spares is None else spares, data_dir)
        if as_json:
            print_json(planned)
        else:
            _print(planned)
        return
    if spares is not None:
        raise CommandError("--spares needs --users. Without --users, the cost includes the platform's own spares.", Exit.USAGE)
    with connect(Target(data_dir)) as api:
        report = api.get("/cost")
    if as_json:
        print_json(report)
        return
    if report["now"] is None:
        out.print(FREE, markup=False)
    _print(report["now"] or report["projection"])


@app.command()
def usage(
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="The month, in UTC.", show_default="the present one")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """See how long machines ran in a month, and for whom, as far as their rows are kept (MACHINES_DAYS)."""
    with connect(Target(data_dir)) as api:
        report = api.get("/cost/usage", **({"month": month} if month else {}))
    if as_json:
        print_json(report)
        return
    rows = [
        (
            item["owner"] or "spares",
            item["machines"],
            f"{item['machine_seconds'] / SECONDS_PER_HOUR:,.1f}",
            "" if item["usd"] is None else f"{item['usd']:.2f}",
        )
        for item in report["items"]
    ]
    print_table(("USER", "MACHINES", "HOURS", "$"), rows, f"No machine ran in {report['month']}.")


@app.command()
def compare(
    users: Annotated[int, typer.Option("--users", min=0, max=MOST, help="For this many users.")] = 10,
    spares: Annotated[int, typer.Option("--spares", min=0, max=MOST, help="And this many spares.")] = DEFAULT_SPARES,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """See what would be cheaper on AWS, change by change, what each gives up, and whether Terraform makes it today. Needs no platform."""
    plans = _compared(users, spares, data_dir)
    if as_json:
        print_json({"items": plans})
        return
    rows = [
        (
            ("+ " if number else "") + plan["name"],
            f"{plan['usd']:.2f}",
            f"{plan['saves_usd']:.2f}" if number else "",
            plan["gives_up"],
            (plan["how"] or "not possible yet") if number else "",
        )
        for number, plan in enumerate(plans)
    ]
    print_table(("PLAN", "$ A MONTH", "SAVES", "GIVES UP", "HOW"), rows, "")
    possible = min((plan for plan in plans if plan["is_possible"]), key=lambda plan: plan["usd"])
    say(f"The cheapest that Terraform makes today: ${possible['usd']:.2f} a month for {users} users, all included. {WHAT_IT_IS}")


@app.command()
@logging_to("warning", None)
def refresh(
    region: Annotated[str, typer.Option("--region", envvar="AWS_REGION", help="The region whose prices to read.")] = "us-west-2",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read AWS's prices of machines and disks, with your credentials, and keep them for estimates. Run it where the platform runs.

    Needs the permissions pricing:GetProducts and ec2:DescribeSpotPriceHistory. A running platform uses the new prices after its next start.
    """
    import asyncio

    from openclaw_hosted import datadir
    from openclaw_hosted.bootstrap import refresh_prices

    read = asyncio.run(refresh_prices(datadir.absolute(data_dir), region))
    if as_json:
        print_json({"region": region, "instance_type": read.instance_type, "prices": {kind.name: usd for kind, usd in read.prices.items()}})
        return
    rows = [(f"{kind.name.lower().replace('_', ' ')}", f"{usd:g}") for kind, usd in read.prices.items()]
    print_table(("PRICE", "$"), rows, "")
    say(f"Kept for {read.instance_type} in {region}. SPOT_PRICE_PER_HOUR and ON_DEMAND_PRICE_PER_HOUR win where they are set.")


@logging_to("warning", None)
def _compared(users: int, spares: int, data_dir: Path | None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from openclaw_hosted import datadir
    from openclaw_hosted.bootstrap import planned_deployment
    from openclaw_hosted.domain.plans import compare as compared

    return [asdict(plan) for plan in compared(users, spares, planned_deployment(datadir.absolute(data_dir)))]


@logging_to("warning", None)
def _plan(users: int, spares: int, data_dir: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    from openclaw_hosted import datadir
    from openclaw_hosted.bootstrap import planned_deployment
    from openclaw_hosted.domain.cost import projection

    return asdict(projection(users, spares, planned_deployment(datadir.absolute(data_dir))))


def _print(estimate: dict[str, Any]) -> None:
    rows: list[tuple[object, ...]] = [(line["component"], f"{line['usd']:.2f}", line["detail"]) for line in estimate["lines"]]
    rows.append(("together", f"{estimate['total_usd']:.2f}", ""))
    if estimate["per_user_usd"] is not None:
        rows.append(("for each user", f"{estimate['per_user_usd']:.2f}", f"of {estimate['users']}"))
    print_table(("COMPONENT", "$ A MONTH", "WHAT"), rows, "Nothing exists.")
    say(WHAT_IT_IS)
    if estimate["note"]:
        say(estimate["note"])
