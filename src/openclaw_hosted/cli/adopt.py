"""`openclaw-hosted adopt`: rebuild a lost database from what exists at the provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_hosted.cli.client import AsJson, DataDir
from openclaw_hosted.cli.output import CommandError, Exit, out, print_json, print_table, say
from openclaw_hosted.logging import logging_to

if TYPE_CHECKING:
    from openclaw_hosted.bootstrap import Adoption
    from openclaw_hosted.domain.adoption import FoundInstance

OTHER = "What exists belongs to platform {found}. If that is the one to adopt, say so: openclaw-hosted adopt --platform {found}"


@logging_to("warning", None)
def adopt(
    platform: Annotated[
        str | None,
        typer.Option("--platform", metavar="MARK", help="The mark of the platform to adopt, as --dry-run shows it.", show_default=False),
    ] = None,
    admin: Annotated[
        str | None, typer.Option("--admin", metavar="EMAIL", help="Make the owner with this e-mail address an admin.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be adopted.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild a lost database from what exists: instances, owners, machines, volumes and routes. Running instances are not touched.

    The database has to be empty, and the key of the vault has to be the one of before. Run it with --dry-run first.
    """
    import asyncio

    from openclaw_hosted.bootstrap import adopting
    from openclaw_hosted.settings import load_settings

    opened = adopting(load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir}))
    report = asyncio.run(_adopt(opened, platform, admin, dry_run=dry_run))
    if as_json:
        print_json(report)
    else:
        _print(report)


async def _adopt(
    opened: AbstractAsyncContextManager[Adoption], platform: str | None, admin: str | None, *, dry_run: bool
) -> Mapping[str, Any]:
    from openclaw_hosted.domain.adoption import not_known

    async with opened as adoption:
        mark, plan = await adoption.service.look()
        if not dry_run and platform != mark:
            raise CommandError(OTHER.format(found=mark), Exit.USAGE)
        links: Sequence[Mapping[str, str]] = []
        setup_link = None
        if not dry_run:
            owners = await adoption.service.carry_out(mark, plan)
            setup_link = await adoption.make_admin(admin) if admin is not None else None
            links = [await _link(adoption, owner) for owner in owners]
        return {
            "platform": mark,
            "dry_run": dry_run,
            "instances": [_told(found) for found in plan.instances],
            "spares": [machine.provider_ref for machine in plan.spares],
            "ending": [machine.provider_ref for machine in plan.ending],
            "held_back": [{"name": name, "reason": reason} for name, reason in sorted(plan.held_back.items())],
            "not_known": list(not_known(plan)),
            "links": links,
            "setup_link": setup_link,
        }


async def _link(adoption: Adoption, owner: Any) -> Mapping[str, str]:
    email, url = await adoption.link(owner)
    return {"user_id": owner, "email": email, "url": url}


def _told(found: FoundInstance) -> Mapping[str, Any]:
    record, machine = found.record, found.machine
    return {
        "id": found.id,
        "name": record.name if record else None,
        "owner_id": found.owner_id,
        "owner_email": record.owner_email if record else None,
        "machine": machine.provider_ref if machine else None,
        "volume": found.volume.id if found.volume else None,
        "what": _becomes(found),
    }


def _becomes(found: FoundInstance) -> str:
    if found.is_deleted:
        return "is deleted, and can be brought back"
    if found.machine is None:
        return "gets another machine"
    return "runs on" if found.is_whole else "is looked after: its machine, volume and route do not agree"


def _print(report: Mapping[str, Any]) -> None:
    out.print(f"Platform {report['platform']}{' (nothing is changed)' if report['dry_run'] else ''}", markup=False)
    rows = [
        (each["id"], each["name"], each["owner_email"] or each["owner_id"], each["machine"], each["what"]) for each in report["instances"]
    ]
    print_table(("ID", "NAME", "OWNER", "MACHINE", "WHAT BECOMES OF IT"), rows, "There are no instances.")
    out.print(f"Spares: {', '.join(report['spares']) or 'none'}", markup=False)
    if report["ending"]:
        out.print(f"Shutting down: {', '.join(report['ending'])}", markup=False)
    for each in report["held_back"]:
        out.print(f"Left alone: {each['name']}: {each['reason']}", markup=False)
    out.print("\nNot known:", markup=False)
    for line in report["not_known"]:
        out.print(f"- {line}", markup=False)
    for each in report["links"]:
        out.print(f"{each['email']} sets a password here, within a day: {each['url']}", markup=False)
    if report["setup_link"]:
        out.print(f"No owner has that address. The first admin's account is made here: {report['setup_link']}", markup=False)
    if report["dry_run"]:
        say(f"Do it with: openclaw-hosted adopt --platform {report['platform']}")
