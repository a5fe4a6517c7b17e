"""ECR in front of a real registry, in so far as a test's own server speaks its API."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

from lab.cloud.ecr import Registry
from tests.lab.cloud.support import Site

DIGEST = "sha256:" + "a" * 64
MANIFEST = {"schemaVersion": 2, "config": {"size": 100}, "layers": [{"size": 1000}, {"size": 500}]}


class Handler(BaseHTTPRequestHandler):
    """Two tags of one image, for who knows the password."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"AWS:word").decode():
            self.answer(401, {})
        elif self.path == "/v2/openclaw/tags/list":
            self.answer(200, {"name": "openclaw", "tags": ["1.0", "latest"]})
        elif self.path in {"/v2/openclaw/manifests/1.0", "/v2/openclaw/manifests/latest"}:
            self.answer(200, MANIFEST)
        else:
            self.answer(404, {})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def registry(site: Site) -> Iterator[Registry]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    site.cloud.registry = Registry("10.9.0.1:5000", "word", f"http://127.0.0.1:{server.server_port}")
    site.client("ecr").create_repository(repositoryName="openclaw")
    yield site.cloud.registry
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_opens_the_registry(site: Site, registry: Registry) -> None:
    (given,) = site.client("ecr").get_authorization_token()["authorizationData"]
    assert base64.b64decode(given["authorizationToken"]).decode() == "AWS:word"
    assert given["proxyEndpoint"] == "http://10.9.0.1:5000"
    assert registry.password not in repr(registry)


def test_repositories_are_at_the_registry(site: Site, registry: Registry) -> None:
    (found,) = site.client("ecr").describe_repositories(repositoryNames=["openclaw"])["repositories"]
    assert found["repositoryUri"] == f"{registry.host}/openclaw"


@pytest.mark.usefixtures("registry")
def test_images_are_those_that_the_registry_has(site: Site) -> None:
    ecr = site.client("ecr")
    (found,) = ecr.describe_images(repositoryName="openclaw", imageIds=[{"imageTag": "1.0"}])["imageDetails"]
    assert (found["imageDigest"], found["imageTags"], found["imageSizeInBytes"]) == (DIGEST, ["1.0"], 1600)
    (every,) = ecr.describe_images(repositoryName="openclaw")["imageDetails"]
    assert every["imageTags"] == ["1.0", "latest"]
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_images(repositoryName="openclaw", imageIds=[{"imageTag": "2.0"}])
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ecr.describe_images(repositoryName="other")


def test_without_a_registry_there_is_no_token(site: Site) -> None:
    with pytest.raises(ClientError, match="no registry"):
        site.client("ecr").get_authorization_token()


def test_a_page_has_a_hundred_images_and_tagged_ones_can_be_asked_for_alone(site: Site) -> None:
    ecr = site.client("ecr")
    ecr.create_repository(repositoryName="many")
    for number in range(101):
        site.push("many", number, f"tag-{number}")
    site.push("many", 200, None)
    first = ecr.describe_images(repositoryName="many")
    assert len(first["imageDetails"]) == 100
    second = ecr.describe_images(repositoryName="many", nextToken=first["nextToken"])
    assert len(second["imageDetails"]) == 2
    assert "nextToken" not in second
    tagged = ecr.describe_images(repositoryName="many", filter={"tagStatus": "TAGGED"}, maxResults=1000)["imageDetails"]
    assert len(tagged) == 101
    assert all(image["imageTags"] for image in tagged)
