"""The mutants: faults that a person could make, each in a line or two of the production code."""

from __future__ import annotations

from typing import Final

from simulation.mutation import Mutant
from simulation.mutations_loops import LOOP_MUTANTS
from simulation.mutations_migration import MIGRATION_MUTANTS
from simulation.mutations_placement import PLACEMENT_MUTANTS
from simulation.mutations_rules import RULE_MUTANTS
from simulation.mutations_stores import STORE_MUTANTS

MUTANTS: Final[tuple[Mutant, ...]] = (*PLACEMENT_MUTANTS, *LOOP_MUTANTS, *RULE_MUTANTS, *STORE_MUTANTS, *MIGRATION_MUTANTS)
