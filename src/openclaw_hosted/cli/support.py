"""`openclaw-hosted support-bundle`: what somebody needs who helps, without a credential."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from openclaw_hosted.cli.client import AsJson, DataDir
from openclaw_hosted.cli.output import out, print_json, say
from openclaw_hosted.logging import logging_to


@logging_to("warning", None)
def support_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new .tar.gz.", dir_okay=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write versions, settings, doctor's findings, the pool, events and the tails of the logs into one file, for whoever helps you.

    Credentials and the names in e-mail addresses are blotted out. Conversations are not in it. Run it where the platform runs.
    """
    import asyncio

    from openclaw_hosted import datadir
    from openclaw_hosted.bootstrap import write_bundle
    from openclaw_hosted.settings import load_settings

    settings = datadir.as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir}))
    datadir.check_platform(settings)
    made = asyncio.run(write_bundle(settings, file))
    if as_json:
        print_json(asdict(made))
        return
    out.print(f"{made.path}: {', '.join(made.members)}", markup=False)
    say("Look into it before you hand it on: tar -xzOf FILE | less")
