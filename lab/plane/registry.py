"""An image registry in the place of ECR: Debian's `docker-registry` as a process, for the machines at the bridge's gateway address."""

from __future__ import annotations

import base64
import ctypes
import json
import secrets
import shutil
import socket
import string
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from lab.plane.docker import docker
from lab.plane.home import PID_SUFFIX, LabHome
from lab.plane.loop import LoopThread
from lab.plane.relay import Relay

USER: Final = "AWS"
START_SECONDS: Final = 20.0
PUSH_SECONDS: Final = 600.0


class Registry:
    """Runs from the constructor until `close`. Raises `FileNotFoundError` with the way out where the program is missing."""

    def __init__(self, home: LabHome, thread: LoopThread, listen_on: str) -> None:
        if shutil.which("docker-registry") is None:
            raise FileNotFoundError("docker-registry is missing: apt-get install docker-registry")
        self.password = secrets.token_urlsafe(18)
        self._home = home
        self._port = _free_port(listen_on)
        self.address = f"{listen_on}:{self._port}"
        """Where machines pull from; their engines have to take it as an insecure one."""
        self._process = self._start()
        self._relay = Relay(thread, "127.0.0.1", (listen_on, self._port))

    @property
    def push_address(self) -> str:
        """Where the host pushes to: engines trust loopback without TLS."""
        host, port = self._relay.address
        return f"{host}:{port}"

    def push(self, image: str, name: str) -> str:
        """Push an image of the host's engine as `name` (`repository:tag`); returns what machines pull. Raises `ToolFailed`."""
        config = self._home.directory / "push"
        config.mkdir(exist_ok=True)
        login = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        (config / "config.json").write_text(json.dumps({"auths": {self.push_address: {"auth": login}}}))
        pushed = f"{self.push_address}/{name}"
        docker("tag", image, pushed)
        try:
            docker("--config", str(config), "push", "--quiet", pushed, seconds=PUSH_SECONDS)
        finally:
            docker("rmi", "--no-prune", pushed)
        return f"{self.address}/{name}"

    def close(self) -> None:
        """End it."""
        self._relay.close()
        self._process.terminate()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        directory = self._home.directory
        (directory / "htpasswd").write_text(f"{USER}:{bcrypt(self.password)}\n")
        settings = directory / "registry.yml"
        settings.write_text(_settings(directory, self.address))
        with (directory / "registry.log").open("wb") as log:
            process = subprocess.Popen(["docker-registry", "serve", str(settings)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        (directory / f"registry{PID_SUFFIX}").write_text(str(process.pid))
        try:
            self._wait(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=2)
            except urllib.error.HTTPError as answer:
                answer.close()
                if answer.code == 401:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError(f"docker-registry does not answer: {(self._home.directory / 'registry.log').read_text()[-600:]}")


def _settings(directory: Path, address: str) -> str:
    """YAML, of which JSON is a part."""
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}, "delete": {"enabled": True}},
            "http": {"addr": address, "secret": secrets.token_hex(16)},
            "auth": {"htpasswd": {"realm": "lab", "path": str(directory / "htpasswd")}},
        }
    )


def bcrypt(password: str) -> str:
    """As `htpasswd -B` writes it, by the system's libcrypt; Python's own `crypt` is gone from 3.13 on."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    alphabet = f"./{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}"
    salt = "$2b$05$" + "".join(secrets.choice(alphabet) for _ in range(21)) + "."
    hashed: bytes | None = library.crypt(password.encode(), salt.encode())
    if hashed is None or not hashed.startswith(b"$2b$"):
        raise OSError("this system's libcrypt knows no bcrypt")
    return hashed.decode()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port
