"""Mutants of the migration: each is a way for a user to be on two sides, on none, or to lose what they said."""

from __future__ import annotations

from typing import Final

from simulation.mutation import Mutant

MIGRATION_MUTANTS: Final = (
    Mutant(
        "migration-revives-the-old-service-before-the-new-instance-is-gone",
        "domain/migration.py",
        "BACK: Final = (MigrationStep.REMOVE, MigrationStep.REVIVE, MigrationStep.RELEASE)",
        "BACK: Final = (MigrationStep.REVIVE, MigrationStep.REMOVE, MigrationStep.RELEASE)",
    ),
    Mutant(
        "migration-leaves-out-what-was-said-after-the-first-copy",
        "migration/flow.py",
        "            await self._flow.copies.settle(self._service.state, await self._arrival())",
        "            pass",
    ),
    Mutant(
        "migration-hands-over-the-bot-with-the-credentials",
        "migration/flow.py",
        "await self._found(), channels=False)",
        "await self._found(), channels=True)",
    ),
    Mutant(
        "rollback-forgets-what-was-said-on-the-new-side",
        "migration/flow.py",
        "            await self._flow.copies.carry_back(replace(await self._arrival(), seat=seat), self._service.state)",
        "            pass",
    ),
    Mutant(
        "migration-does-not-wait-until-the-old-service-has-stopped",
        "migration/flow.py",
        '        await self._until(lambda status: status.is_stopped, seconds, "The old service has not stopped")',
        "        return",
    ),
)
