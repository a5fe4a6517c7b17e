"""Runs again, one after the other, the tests that failed in the last run, if those were ten at most, and names them.

A fault fails twice, and a test that waited too long on a busy computer does not: this tells which of the two to look for. It does not
make a failed run a good one.

    python -m scripts.second_chance [ARGUMENTS OF PYTEST]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MOST: Final = 10
FAILED_LAST: Final = Path(".pytest_cache/v/cache/lastfailed")
_GROUP: Final = re.compile(r"@[^@\]/]*$")
"""What pytest-xdist writes behind a test's id: the group that runs on one worker."""


def failed_last() -> list[str]:
    """The tests that failed in the last run, by their ids; none where no run failed here."""
    if not FAILED_LAST.is_file():
        return []
    return sorted(_GROUP.sub("", each) for each in json.loads(FAILED_LAST.read_text()))


def run_again(tests: Sequence[str], arguments: Sequence[str]) -> int:
    """Run these tests; returns pytest's exit code. Says first which they are, and at the end whether they passed."""
    named = "\n".join(f"  {each}" for each in tests)
    print(f"==> These failed beside others, and are run again alone:\n{named}", flush=True)
    code = subprocess.run([sys.executable, "-m", "pytest", *tests, *arguments], check=False).returncode
    print(f"==> {'They passed' if code == 0 else 'They did not all pass'} when they ran alone:\n{named}", flush=True)
    return code


def main(arguments: Sequence[str]) -> int:
    """Returns 0 only if all that failed pass now."""
    tests = failed_last()
    if not tests or len(tests) > MOST:
        print(f"==> Nothing is run again: {len(tests)} tests failed; only one to {MOST} are run again.", flush=True)
        return 1
    return run_again(tests, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
