"""The commands of machines that are processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR, OpenClawRelease
from openclaw_hosted.adapters.local.runtimes import Berth, ProcessRuntime


def said(line: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(["/bin/sh", "-c", line], env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout.strip()


def test_npm_runs_in_a_gateways_path_and_installs_into_its_own_home(tmp_path: Path) -> None:
    entry = tmp_path / "openclaw.mjs"
    entry.write_text("console.log(`openclaw ${process.argv.slice(2)}`)")
    release = OpenClawRelease("1", tmp_path, NODE_DIR / "bin" / "node", entry, PLUGIN_DIR)
    berth = Berth(tmp_path / "machine", 1, "1", "oc-22222222", tmp_path / "state", tmp_path / "home")
    for folder in (berth.directory, berth.home_dir, tmp_path / "hello"):
        folder.mkdir()
    environment = dict(ProcessRuntime(tmp_path, release).program(berth).env)
    assert said("openclaw 'a b'", environment, tmp_path) == "openclaw a b"
    assert said("npm --version && npx --version", environment, tmp_path).count(".") == 4
    (tmp_path / "hello" / "package.json").write_text('{"name": "hello", "version": "1.0.0", "bin": "hello.sh"}')
    (tmp_path / "hello" / "hello.sh").write_text("#!/bin/sh\necho hello from here\n")
    (tmp_path / "hello" / "hello.sh").chmod(0o755)
    said('npm install --silent --offline --global "$(npm pack --silent)"', environment, tmp_path / "hello")
    assert (berth.home_dir / ".local" / "bin" / "hello").exists()
    assert said("hello", environment, tmp_path) == "hello from here"
