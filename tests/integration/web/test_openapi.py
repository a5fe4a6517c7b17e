"""The API keeps to its own description, whatever is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from openclaw_hosted.domain.account import User
from tests.integration.web.conftest import World, served
from tests.support.actors import acting
from tests.support.waiting import PATIENCE_SECONDS

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


async def test_the_description_names_every_route_of_the_api(world: World) -> None:
    async with world.client() as client:
        described = (await client.get("/api/v1/openapi.json")).json()
    operations = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, item in described["paths"].items() for method in item}
    assert {
        "POST /instances", "GET /instances", "GET /instances/{instance_id}", "GET /instances/{instance_id}/events",
        "PATCH /instances/{instance_id}", "DELETE /instances/{instance_id}", "POST /instances/{instance_id}/restart",
        "POST /instances/{instance_id}/restore", "POST /instances/{instance_id}/open", "GET /machines", "GET /pool", "GET /cost", "GET /me",
        "GET /room",
    } <= operations  # fmt: skip
    assert all(path.startswith("/api/v1/") for path in described["paths"])
    assert "problem+json" in str(described["paths"]["/api/v1/instances"]["post"]["responses"]["422"])


async def test_whatever_is_sent_the_api_keeps_to_its_description(world: World, admin: User) -> None:
    token = await world.kit.accounts.create_token(acting(admin), "fuzz")
    async with world.client() as client:
        described = (await client.get("/api/v1/openapi.json")).json()
    for path in [path for path in described["paths"] if path.endswith("/events") and "{" in path]:
        del described["paths"][path]
    async with served(world) as address:
        failures = await asyncio.to_thread(send_all_sorts, described, address, token)
    assert failures == []


def send_all_sorts(description: dict[str, Any], address: str, token: str) -> list[str]:
    """What an answer did that the description does not say, over every operation and a few random requests each."""
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=address)
    failures: list[str] = []
    statuses: set[int] = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.startswith("/api/v1/tokens/") or "disable" in operation.path:
            continue

        @settings(
            max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
        )
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            answer = case.call(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS)
            statuses.add(answer.status_code)
            try:
                case.validate_response(answer, checks=CHECKS)
            except schemathesis.errors.SchemathesisError as error:
                failures.append(f"{case.method} {case.path}: {error}")
            except BaseExceptionGroup as group:
                failures.append(f"{case.method} {case.path}: {group.exceptions}"[:600])

        send()
    assert {200, 404, 422} <= statuses
    return failures


async def test_the_description_is_a_page_that_needs_nothing_from_elsewhere(world: World) -> None:
    async with world.client() as client:
        described = (await client.get("/api/v1/openapi.json")).json()
        page = await client.get("/api/docs")
    assert page.status_code == 200
    for path, item in described["paths"].items():
        assert page.text.count(f"<code>{path.removeprefix('/api/v1')}</code>") == len(item)
    assert "list of Channel" in page.text
    assert "https://" not in page.text.replace("https://claw.example.com", "")
