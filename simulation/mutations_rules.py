"""Mutants of the rules: what the domain decides."""

from __future__ import annotations

from typing import Final

from simulation.mutation import Catcher, Mutant

RULE_MUTANTS: Final = (
    Mutant(
        "a-lost-machine-is-not-condemned",
        "domain/lifecycle/machines.py",
        "    ended = condemn(machine, now=now, failure=failure)",
        "    ended = NOTHING",
    ),
    Mutant(
        "an-old-image-is-kept",
        "domain/pool.py",
        "and machine.image != policy.image:",
        "and not machine.image:",
    ),
    Mutant(
        "the-meter-leaves-out-volumes-that-are-kept-for-undo",
        "domain/cost.py",
        "        volumes=len(reserved | kept.keys()),",
        "        volumes=len(reserved | reachable),",
    ),
    Mutant(
        "the-meter-counts-a-spares-route-only-once-it-is-taken",
        "domain/cost.py",
        "        routes=len(spare | reachable),",
        "        routes=len(reachable),",
    ),
    Mutant(
        "the-meter-counts-secrets-by-machines",
        "domain/cost.py",
        "        secrets=len(hot | kept.keys()),",
        "        secrets=len(live),",
    ),
    Mutant(
        "the-meter-counts-spares-only",
        "domain/cost.py",
        "        machines=len(live),",
        "        machines=len(reserved - kept.keys()),",
    ),
    Mutant(
        "no-machine-is-made-ready-for-one-that-is-to-move",
        "domain/pool.py",
        "    wanted.update(zone for zone in view.leaving | (view.homes if spread else frozenset()) if zone and zone not in closed)",
        "    wanted.update(zone for zone in (view.homes if spread else frozenset()) if zone and zone not in closed)",
        Catcher.MOVES,
    ),
    # The faults that the simulation found, put back (docs/simulation.md).
    Mutant(
        "found-surplus-spares-are-kept",
        "domain/pool.py",
        "count=-short",
        "count=-missing",
    ),
    Mutant(
        "found-an-instance-is-not-told-that-its-machine-is-gone",
        "domain/lifecycle/machines.py",
        "    if not _loses(instance, machine):",
        "    if True:",
    ),
    Mutant(
        "found-a-condemned-machine-is-due-at-once",
        "domain/lifecycle/machines.py",
        "machine_work=Work.BROKEN",
        "machine_work=Work.FREE",
        Catcher.CONTRACT,
    ),
    Mutant(
        "found-a-deleted-instance-is-due-at-once",
        "domain/lifecycle/instances.py",
        "return Changed(deleting, events=(event,), wakes=frozenset({Topic.PLACEMENT, Topic.CHANGES}), instance_work=Work.BROKEN)",
        "return Changed(deleting, events=(event,), wakes=frozenset({Topic.PLACEMENT, Topic.CHANGES}), instance_work=Work.FREE)",
        Catcher.CONTRACT,
    ),
    # An adoption.
    Mutant(
        "an-adopted-instance-has-forgotten-its-revision",
        "domain/lifecycle/adopting.py",
        "    revision = max(record.revision if record else 0, secret.revision if secret else 0)",
        "    revision = 0",
    ),
    Mutant(
        "an-adopted-instance-begins-again-at-its-first-machine",
        "domain/adoption.py",
        "            generation=max(1 if machine else 0, route.generation if route else 0, record.generation if record else 0),",
        "            generation=1 if machine else 0,",
    ),
    Mutant(
        "an-owner-is-not-looked-for-in-the-vault",
        "domain/adoption.py",
        "        return frozenset({*of_routes, *(each for each, secret in self._secrets.items() if secret.owner_id is not None)})",
        "        return of_routes",
        Catcher.ADOPTION,
    ),
    Mutant(
        "every-machine-that-has-no-mark-is-a-spare",
        "domain/adoption.py",
        "    return machine.status in NEVER_CLAIMED or machine.claimed is False",
        "    return True",
        Catcher.ADOPTION,
    ),
    Mutant(
        "of-two-claimants-the-newest-wins",
        "domain/adoption.py",
        "        return has_volume, route is not None and route.machine_id == machine.id, machine.launched_at",
        "        return False, False, machine.launched_at",
        Catcher.ADOPTION,
    ),
    Mutant(
        "what-a-user-asked-for-meanwhile-is-dropped",
        "domain/lifecycle/instances.py",
        "    if instance.revision > applied_revision or instance.restarts_asked > restarts_done:",
        "    if False:",
    ),
    Mutant(
        "retention-takes-the-newest",
        "domain/restore_point.py",
        "    return lasting[max(policy.keep, 1) :] + aged",
        "    return lasting[: -max(policy.keep, 1)] + aged",
    ),
)
