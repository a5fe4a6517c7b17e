"""`openclaw-hosted backup` and `restore`: everything of a platform into one file, and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from openclaw_hosted.cli.client import AsJson, DataDir
from openclaw_hosted.cli.output import out, print_json, say
from openclaw_hosted.cli.progress import Progress
from openclaw_hosted.logging import logging_to

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="A file with the passphrase. [BACKUP_PASSPHRASE_FILE, or BACKUP_PASSPHRASE itself]", show_default=False
    ),
]
IN_THE_CLEAR = (
    "This backup is not encrypted and holds the key to all credentials: guard it as you guard the data directory. "
    "With --passphrase-file it would be encrypted."
)


@logging_to("warning", None)
def backup(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to write it; by default a new file here.", show_default=False)
    ] = None,
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole platform to one file: users, instances, credentials, and what each OpenClaw remembers. It can keep running."""
    import asyncio

    from openclaw_hosted import datadir
    from openclaw_hosted.bootstrap import back_up, passphrase_of
    from openclaw_hosted.settings import load_settings

    settings = datadir.as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir}))
    passphrase = passphrase_of(settings, passphrase_file)
    with Progress() as progress:
        made = asyncio.run(back_up(settings, file, passphrase, progress))
    if as_json:
        print_json(asdict(made))
    else:
        kind = "encrypted" if made.encrypted else "NOT encrypted"
        out.print(f"{made.path}: {made.instances} instances, {made.members} files, {made.size_bytes:,} bytes, {kind}", markup=False)
    for line in made.left_out:
        say(f"Left out: {line}")
    if not made.encrypted:
        say(IN_THE_CLEAR)


@logging_to("warning", None)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty data directory, and into the empty database of DATABASE_URL if set. Then `up`
    starts every instance."""
    import asyncio

    from openclaw_hosted.bootstrap import passphrase_of, restore_backup
    from openclaw_hosted.settings import load_settings

    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir})
    passphrase = passphrase_of(settings, passphrase_file)
    with Progress() as progress:
        manifest = asyncio.run(restore_backup(settings, file, passphrase, progress))
    facts = {
        "data_dir": str(settings.data_dir),
        "created_at": manifest.created_at,
        "platform_version": manifest.platform_version,
        "instances": manifest.instances,
        "members": len(manifest.members),
        "left_out": list(manifest.left_out),
    }
    if as_json:
        print_json(facts)
        return
    out.print(f"Restored {manifest.instances} instances of {manifest.created_at} into {settings.data_dir}.", markup=False)
    out.print(f"Start it with the same settings as before:\n  openclaw-hosted up --data-dir {settings.data_dir}", markup=False)
    for line in manifest.left_out:
        say(f"Was left out of the backup: {line}")
