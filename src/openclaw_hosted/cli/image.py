"""`openclaw-hosted image`: the image that Docker machines run."""

from __future__ import annotations

from openclaw_hosted.cli.client import AsJson, DataDir
from openclaw_hosted.cli.output import out, print_json
from openclaw_hosted.cli.progress import Progress
from openclaw_hosted.logging import logging_to


@logging_to("warning", None)
def image(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Build the image that Docker machines run, unless it exists, and print its tag. Installs OpenClaw first if it is missing."""
    import asyncio

    from openclaw_hosted.bootstrap import build_image
    from openclaw_hosted.settings import load_settings

    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir})
    with Progress(quiet=as_json) as progress:
        tag, size = asyncio.run(build_image(settings, progress))
    if as_json:
        print_json({"image": tag, "bytes": size})
    else:
        out.print(f"{tag} ({size / 1e6:.0f} MB)", markup=False)
