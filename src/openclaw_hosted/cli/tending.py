"""`openclaw-hosted pool reset`: spares as the settings say."""

from __future__ import annotations

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.fleet import pool, print_pool


@pool.command()
def reset(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Keep as many spares as POOL_SPARE_COUNT says, whatever `set` said."""
    with connect(Target(data_dir)) as api:
        print_pool(api.patch("/pool", {"spares": None}), as_json=as_json)
