"""`openclaw-hosted status`: does the platform run, and how is its pool?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from openclaw_hosted import datadir
from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import Exit, cell, print_fields, print_json
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT, in_gigabytes


def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show whether the platform runs and is ready, and its pool in one line. Exits with 6 if it does not run."""
    target = Target(data_dir)
    report, runs, there = _on_this_computer(target) if target.remote is None else ({"address": target.remote.url}, True, True)
    if not there:
        _print({**report, "running": False}, as_json=as_json)
        raise typer.Exit(Exit.NOT_REACHABLE)
    with connect(target) as api:
        ready = api.raw("/readyz").json()
        pool = api.get("/pool")
        large = api.get("/room")["large"]
    report |= {"running": runs, "ready": runs and ready["status"] == "ready", "checks": ready["checks"]}
    report |= {"pool": {name: pool[name] for name in ("status", "available", "spares_wanted", "note")}}
    if target.remote is None and not ready["checks"].get("disk", True):
        report["note"] = _no_room(datadir.absolute(target.data_dir))
    if large:
        report |= {"filled_by": {each["instance_id"] or each["volume_id"]: _held(each) for each in large}, "way_out": OPERATORS_WAY_OUT}
    _print(report, as_json=as_json)
    if not runs:
        raise typer.Exit(Exit.NOT_REACHABLE)
    if not report["ready"]:
        raise typer.Exit(Exit.FAILED)


def _on_this_computer(target: Target) -> tuple[dict[str, Any], bool, bool]:
    """What is known without asking, whether all parts run, and whether there is a platform at all."""
    directory = datadir.absolute(target.data_dir)
    pids = {role.value: datadir.holder(directory, role) for role in datadir.Role}
    address, there = _address(target)
    return {"address": address, "data_dir": str(directory), "processes": pids}, all(pid is not None for pid in pids.values()), there


def _address(target: Target) -> tuple[str, bool]:
    if target.runs:
        with connect(target) as api:
            return str(api.get("/local")["address"]), True
    from openclaw_hosted.settings import load_settings

    settings = datadir.as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": target.data_dir}))
    return settings.address, datadir.has_platform(settings)


def _no_room(directory: Path) -> str:
    free = datadir.free_bytes(directory) / 1e6
    return (
        f"The disk with {directory} is full: {free:.1f} MB are free. Free room on it: delete old backups and logs/*.log.*, or enlarge it. "
        "Nobody can sign in or create until then; the platform goes on by itself."
    )


def _held(large: dict[str, Any]) -> str:
    return f"{in_gigabytes(large['held_bytes'])} of the disk that all share, which has {in_gigabytes(large['free_bytes'])} left"


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    flat: dict[str, object] = {}
    for name, value in report.items():
        text = ", ".join(f"{key}: {cell(part)}" for key, part in value.items() if part is not None) if isinstance(value, dict) else value
        flat[name.replace("_", " ")] = text
    print_fields(flat)
