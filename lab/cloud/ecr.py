"""ECR in front of the lab's registry: its address, its password, and the images that are really in it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from botocore import xform_name

from lab.cloud.calls import Call
from lab.cloud.describe import moment, page
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

PAGE, LARGEST_PAGE = 100, 1000
"""Images in an answer, unless it is asked for another number, and at most."""
FIELDS = (
    "registryId", "repositoryName", "imageDigest", "imageTags", "imageSizeInBytes", "imagePushedAt", "imageManifestMediaType",
    "artifactMediaType",
)  # fmt: skip
TOKEN_SECONDS = 12 * 3600.0
USER = "AWS"
DOCKER, OCI = "application/vnd.docker.distribution", "application/vnd.oci.image"
MANIFESTS = f"{DOCKER}.manifest.v2+json, {DOCKER}.manifest.list.v2+json, {OCI}.manifest.v1+json, {OCI}.index.v1+json"


@dataclass(frozen=True)
class Registry:
    """A Docker registry (HTTP API v2) that stands in ECR's place."""

    host: str
    """Host and port, as machines name it in images."""
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """Of its user `AWS`."""
    url: str | None = None
    """Where this computer reaches it; `http://` and the host where it is None."""

    def ask(self, method: str, path: str) -> httpx.Response:
        """A call of its API."""
        base = self.url or f"http://{self.host}"
        return httpx.request(method, f"{base}/v2/{path}", auth=(USER, self.password), headers={"Accept": MANIFESTS}, timeout=10)


def _registry(account: Account) -> Registry:
    if account.registry is None:
        raise Refused("ServerException", "The lab has no registry: set `registry`.")
    return account.registry


@operation("ecr", "GetAuthorizationToken", locked=False)
def get_authorization_token(account: Account, call: Call) -> Any:
    """The registry's user and password, for twelve hours."""
    del call
    registry = _registry(account)
    token = base64.b64encode(f"{USER}:{registry.password}".encode()).decode()
    given = {"authorizationToken": token, "expiresAt": moment(account.clock() + TOKEN_SECONDS), "proxyEndpoint": f"http://{registry.host}"}
    return {"authorizationData": [given]}


@operation("ecr", "CreateRepository")
def create_repository(account: Account, call: Call) -> Any:
    """Make a repository at the registry's address."""
    answer = moto(call)
    _place(account, answer.result["repository"])
    return answer


@operation("ecr", "DescribeRepositories")
def describe_repositories(account: Account, call: Call) -> Any:
    """List repositories with the registry's address."""
    answer = moto(call)
    for repository in answer.result["repositories"]:
        _place(account, repository)
    return answer


def _place(account: Account, repository: Any) -> None:
    if account.registry is not None:
        repository.uri = f"{account.registry.host}/{repository.name}"


@operation("ecr", "DescribeImages", locked=False)
def describe_images(account: Account, call: Call) -> Any:
    """A page of the images that are in the registry; of moto's own where there is no registry."""
    params = call.params
    if params.get("imageIds") and (params.get("maxResults") or params.get("nextToken")):
        raise Refused("InvalidParameterException", "The parameters 'imageIds' and 'maxResults' or 'nextToken' exclude each other")
    if account.registry is None:
        with account.lock:
            found = moto(call).result["imageDetails"]
        images = [{field: value for field in FIELDS if (value := getattr(image, xform_name(field), None))} for image in found]
    else:
        images = _in_registry(account, account.registry, call)
    if status := (params.get("filter") or {}).get("tagStatus"):
        images = [image for image in images if status == "ANY" or bool(image.get("imageTags")) is (status == "TAGGED")]
    asked = {"maxResults": PAGE, **params}
    shown, token = page(images, asked, key=lambda image: image["imageDigest"], most=LARGEST_PAGE, size="maxResults", token="nextToken")
    return {"imageDetails": shown, "nextToken": token}


def _in_registry(account: Account, registry: Registry, call: Call) -> list[dict[str, Any]]:
    name = call.params["repositoryName"]
    with account.lock:
        known = any(each.name == name for each in account.ecr.repositories.values())
    if not known:
        raise Refused("RepositoryNotFoundException", f"The repository with name '{name}' does not exist in the registry")
    wanted = call.params.get("imageIds")
    if wanted is None:
        tags = registry.ask("GET", f"{name}/tags/list")
        wanted = [{"imageTag": tag} for tag in (tags.json().get("tags") or [])] if tags.is_success else []
    found: dict[str, dict[str, Any]] = {}
    for each in wanted:
        image = _image(registry, name, each)
        found.setdefault(image["imageDigest"], image)["imageTags"] += [each["imageTag"]] if each.get("imageTag") else []
    return [{**image, "registryId": account.account_id, "repositoryName": name} for image in found.values()]


def _image(registry: Registry, name: str, identity: Mapping[str, str]) -> dict[str, Any]:
    answer = registry.ask("GET", f"{name}/manifests/{identity.get('imageTag') or identity.get('imageDigest')}")
    if not answer.is_success:
        raise Refused("ImageNotFoundException", f"The image with imageId {dict(identity)} does not exist within the repository '{name}'")
    manifest = answer.json()
    size = sum(layer.get("size", 0) for layer in [*manifest.get("layers", []), manifest.get("config", {})])
    return {
        "imageDigest": answer.headers["docker-content-digest"],
        "imageManifestMediaType": answer.headers["content-type"],
        "imageSizeInBytes": size,
        "imageTags": [],
    }
