"""Mutants of placement: the steps that bring an instance to a machine, and away again."""

from __future__ import annotations

from typing import Final

from simulation.mutation import Catcher, Mutant

PLACEMENT_MUTANTS: Final = (
    Mutant(
        "deleted-before-its-machine-is-gone",
        "controllers/placement/remove.py",
        "is not MachineState.TERMINATED:",
        "is MachineState.ASSIGNED:",
    ),
    Mutant(
        "a-lost-answer-is-swallowed",
        "controllers/placement/remove.py",
        "            await ports.router.release(instance.id)",
        "            await __import__('asyncio').gather(ports.router.release(instance.id), return_exceptions=True)",
    ),
    Mutant(
        "credentials-are-not-retired",
        "controllers/placement/remove.py",
        "            await ports.vault.retire(instance.id)",
        "            pass",
    ),
    Mutant(
        "a-key-stands-in-an-error",
        "controllers/placement/handing.py",
        "        await ports.vault.put(instance.id, given.change.apply_to(document), given.revision, record)",
        "        from openclaw_hosted.domain.errors import Unavailable\n"
        "        try:\n            await ports.vault.put(instance.id, given.change.apply_to(document), given.revision, record)\n"
        "        except Unavailable as error:\n            raise Unavailable(f'{error} {dict(given.change.set)}') from None",
    ),
    Mutant(
        "sealed-credentials-are-forgotten-before-the-vault-has-them",
        "controllers/placement/handing.py",
        "    await put_away(ports, instance, given)\n    if given is not None:\n"
        "        await ports.instance_store.update(instance.id, partial(lifecycle.hand_over, revision=given.revision), lease=lease)",
        "    if given is not None:\n"
        "        await ports.instance_store.update(instance.id, partial(lifecycle.hand_over, revision=given.revision), lease=lease)\n"
        "    await put_away(ports, instance, given)",
    ),
    Mutant(
        "what-a-gateway-was-handed-is-taken-to-be-in-the-vault",
        "controllers/placement/place.py",
        "filed=not taken_over)",
        "filed=True)",
    ),
    Mutant(
        "a-change-made-meanwhile-is-taken-as-applied",
        "controllers/placement/place.py",
        "applied_revision=instance.revision,",
        "applied_revision=instance.revision + 1,",
    ),
    Mutant(
        "a-volume-is-taken-from-a-machine-that-lives",
        "controllers/placement/place.py",
        "is not MachineState.TERMINATED:",
        "is MachineState.ASSIGNED:",
    ),
    # Notices, and moves off machines that still answer.
    Mutant(
        "a-volume-is-taken-before-the-old-gateway-has-stopped",
        "controllers/placement/moving.py",
        "        await ports.gateways.stop(seat, within_seconds=None if old.notice in PATIENT_KINDS else max(LEAST_SECONDS, left))",
        "        assert left is not None",
    ),
    Mutant(
        "a-deleted-instance-forgets-the-machine-that-it-leaves",
        "controllers/placement/remove.py",
        "return list(dict.fromkeys([*((instance.machine_id,) if instance.machine_id else ()), *noticed]))",
        "return [*((instance.machine_id,) if instance.machine_id else ()), *noticed[:0]]",
        Catcher.MOVES,
    ),
    Mutant(
        "a-turn-that-began-meanwhile-is-not-waited-for",
        "controllers/placement/moving.py",
        "        while self._may_wait(old) and not await self._rests(old):",
        "        while self._may_wait(old) and await self._rests(old) is None:",
        Catcher.MOVES,
    ),
    Mutant(
        "found-where-a-volume-is-being-made-is-not-said-before",
        "controllers/placement/place.py",
        "                await ports.instance_store.update(instance.id, partial(lifecycle.want_volume, zone=machine.zone), lease=lease)\n",
        "",
        Catcher.SCENES,
    ),
    Mutant(
        "the-present-state-is-not-kept",
        "controllers/placement/restoring.py",
        "            await self._stop(instance, machine)\n            await self._keep(instance, steps)",
        "            await self._stop(instance, machine)",
        Catcher.RESTORES,
    ),
    Mutant(
        "restore-points-outlive-their-purged-instance",
        "controllers/placement/remove.py",
        "            await ports.points.remove(point.id)\n",
        "",
        Catcher.RESTORES,
    ),
    Mutant(
        "a-gateway-runs-on-while-its-volume-is-replaced",
        "controllers/placement/restoring.py",
        "        await ports.gateways.stop(seat_of(machine))\n",
        "",
    ),
    Mutant(
        "a-machine-takes-a-volume-that-is-being-copied",
        "controllers/placement/elsewhere.py",
        "                raise Requeue(self._options.scan_seconds, COPYING)",
        "                return",
        Catcher.RESTORES,
    ),
    Mutant(
        "a-volume-goes-elsewhere-while-a-machine-has-it",
        "controllers/placement/elsewhere.py",
        "        return seen is not None and seen.attached_to is None",
        "        return seen is not None",
        Catcher.RESTORES,
    ),
)
