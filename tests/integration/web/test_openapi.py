"""The API keeps to its own description, whatever is sent."""

from __future__ import annotations

from tests.integration.web.conftest import World


async def test_the_description_names_every_route_of_the_api(world: World) -> None:
    async with world.client() as client:
        described = (await client.get("/api/v1/openapi.json")).json()
    operations = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, item in described["paths"].items() for method in item}
    assert {
        "POST /instances", "GET /instances", "GET /instances/{instance_id}", "GET /instances/{instance_id}/events",
        "PATCH /instances/{instance_id}", "DELETE /instances/{instance_id}", "POST /instances/{instance_id}/restart",
        "POST /instances/{instance_id}/restore", "POST /instances/{instance_id}/open", "GET /machines", "GET /pool", "GET /me",
    } <= operations  # fmt: skip
    assert all(path.startswith("/api/v1/") for path in described["paths"])
    assert "problem+json" in str(described["paths"]["/api/v1/instances"]["post"]["responses"]["422"])
