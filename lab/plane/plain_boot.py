"""What the platform's user data does, without a shell: it starts the gateway of the instance id that the machine is reserved for."""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import dataclass
from typing import Final

from lab.plane.plain_script import COMMAND, Exit

RESERVED_TAG: Final = "ReservedInstanceId"
_WORDS: Final = re.compile(r"IMAGE='(?P<image>[^']+)' SECRET='(?P<secret>[^']+)' ID='(?P<id>[^']+)'")
_SCRIPT: Final = re.compile(r"base64 -d <<'END' \| gzip -d >\S+.*\n(?P<packed>[A-Za-z0-9+/=\n]+)\nEND\n")
_CONFIG: Final = re.compile(r"read -r CONFIG <<'END'\n(?P<config>\{.*\})\nEND")
FINAL: Final = frozenset({Exit.DONE, Exit.OLDER_GENERATION, Exit.USAGE, Exit.FOREIGN_VOLUME})
"""The exit codes after which the user data tries no more."""


@dataclass(frozen=True, slots=True)
class UserData:
    """What is filled into the platform's user data. A made-up id stands in it for the real one."""

    image: str
    secret: str
    made_up_id: str
    config: str
    script: str
    """The machine's script, unpacked."""

    @classmethod
    def parse(cls, text: str) -> UserData | None:
        """None for any other user data, which does nothing on a plain machine."""
        words, config, script = _WORDS.search(text), _CONFIG.search(text), _SCRIPT.search(text)
        unpacked = gzip.decompress(base64.b64decode(script["packed"])).decode() if script else ""
        return cls(words["image"], words["secret"], words["id"], config["config"], unpacked) if words and config else None

    def start(self, instance_id: str, volume_id: str) -> str:
        """The script with the call that starts the gateway of this instance."""
        config = base64.b64encode(self.config.replace(self.made_up_id, instance_id).encode()).decode()
        return (
            f"{self.script}\n{COMMAND} start instance={instance_id} generation=0 volume={volume_id} fresh=1 image={self.image} "
            f"secret={self.secret.replace(self.made_up_id, instance_id)} config={config}"
        )
