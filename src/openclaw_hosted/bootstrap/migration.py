"""A migration from an older system, wired: an operator's credentials there, and this platform's parts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from openclaw_hosted import OPENCLAW_VERSION, datadir
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.ecs.legacy import EcsLegacy
from openclaw_hosted.adapters.ecs.mapping import Mapping, load_mapping
from openclaw_hosted.adapters.local.states.copies import FolderStateCopies
from openclaw_hosted.adapters.local.states.parcels import ParcelStateCopies
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.adapters.nocopies import NoStateCopies
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.costs import planned_deployment
from openclaw_hosted.bootstrap.platform import beside
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.bootstrap.services import key_tester
from openclaw_hosted.domain.migration import DAY_SECONDS, Migration
from openclaw_hosted.migration.flow import Flow, FlowOptions
from openclaw_hosted.migration.new_side import NewSide
from openclaw_hosted.migration.request import MigrationRequest
from openclaw_hosted.migration.service import MigrationService
from openclaw_hosted.ports.legacy import StateCopies
from openclaw_hosted.services import Services
from openclaw_hosted.settings import Provider, Settings, SettingsError
from openclaw_hosted.store.open import Store, open_store


@asynccontextmanager
async def open_migration(settings: Settings, request: MigrationRequest) -> AsyncIterator[MigrationService]:
    """What an operator can ask. Raises `InvalidInput` for a wrong mapping, `SettingsError`, and `Unavailable` without a platform."""
    mapping = load_mapping(request.mapping)
    region = mapping.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise SettingsError("Say in which region the old system is: AWS_REGION, or `region` in the mapping.")
    clock, ids = SystemClock(), SystemIds()
    async with beside(settings) as (store, provided, services):
        sdk = AwsSdk(region, clock, ids, os.environ.get("AWS_ENDPOINT_URL") or None)
        try:
            options = FlowOptions(OPENCLAW_VERSION, request.window, request.soak_seconds)
            new = _new_side(settings, store, provided, services)
            flow = Flow(EcsLegacy(sdk, mapping), _copies(settings, mapping, provided), new, store.migrations, clock, options)
            rollback_seconds = request.rollback_days * DAY_SECONDS
            deployment = planned_deployment(settings.data_dir)
            yield MigrationService(flow, store.platform, deployment, settings.spares, OPENCLAW_VERSION, rollback_seconds)
        finally:
            await sdk.aclose()


async def migration_rows(settings: Settings) -> Sequence[Migration]:
    """How far each user has come. Asks nobody but the database."""
    settings = datadir.as_started(settings)
    datadir.check_platform(settings)
    store = await open_store(settings.database_url, create=False)
    try:
        return await store.migrations.all()
    finally:
        await store.aclose()


def _new_side(settings: Settings, store: Store, provided: Provided, services: Services) -> NewSide:
    return NewSide(
        services.accounts,
        services.instances,
        store.instances,
        store.machines,
        provided.gateways,
        provided.router,
        key_tester(settings, provided),
        SystemClock(),
        SystemIds(),
        settings.fleet_cap,
    )


def _copies(settings: Settings, mapping: Mapping, provided: Provided) -> StateCopies:
    if settings.provider is not Provider.AWS:
        return FolderStateCopies(LocalVolumes(settings.data_dir), mapping.state.mounts)
    if provided.carrier is None or mapping.state.bucket is None:
        return NoStateCopies()
    return ParcelStateCopies(settings.data_dir / "migration", mapping.state.mounts, provided.carrier(mapping.state.bucket))
