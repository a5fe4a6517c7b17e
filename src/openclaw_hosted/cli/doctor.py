"""`openclaw-hosted doctor`: is all there that the platform needs?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from openclaw_hosted.cli.client import AsJson, DataDir
from openclaw_hosted.cli.output import Exit, out, print_json
from openclaw_hosted.logging import logging_to


@logging_to("warning", None)
def doctor(
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="The port that `up` is to use.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Check what the platform needs on this computer, and say how to fix problems. Exits with 1 if there are any."""
    import asyncio

    from openclaw_hosted.bootstrap import examine
    from openclaw_hosted.bootstrap.doctor.computer import Verdict
    from openclaw_hosted.settings import load_settings

    marks = {Verdict.OK: ("✓", "green"), Verdict.WARNING: ("!", "yellow"), Verdict.PROBLEM: ("✗", "red")}
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir, "PORT": port})
    findings = asyncio.run(examine(settings))
    if as_json:
        print_json({"items": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark, style = marks[finding.verdict]
            out.print(mark, style=style, end=" ")
            out.print(f"{finding.check:<15} {finding.message}", markup=False)
            if finding.fix is not None:
                out.print(f"  {'':<15} → {finding.fix}", markup=False)
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise typer.Exit(Exit.FAILED)
