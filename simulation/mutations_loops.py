"""Mutants of the other loops: machines, moves, restore points, orphans, the edge."""

from __future__ import annotations

from typing import Final

from simulation.mutation import Catcher, Mutant

LOOP_MUTANTS: Final = (
    Mutant(
        "launch-without-its-token",
        "controllers/readiness.py",
        "provider_ref = await ports.machines.launch(_launch_spec(machine))",
        "again = LaunchSpec(ports.ids.machine_id(), machine.volume_id, machine.reserved_instance_id, machine.image)\n"
        "            provider_ref = await ports.machines.launch(again)",
    ),
    Mutant(
        "gone-before-it-is-seen-to-be-gone",
        "controllers/readiness.py",
        "        await self._ports.machines.terminate(provider_ref)\n        if await self._observe(machine) is not None:",
        "        await self._ports.machines.terminate(provider_ref)\n        if False:",
    ),
    Mutant(
        "a-retired-document-is-made-anew",
        "controllers/gateways.py",
        "        await ports.vault.restore(instance_id)",
        "        await ports.vault.purge(instance_id)",
    ),
    Mutant(
        "routes-are-not-mended",
        "controllers/edge.py",
        "        if route is None or not _leads(route, target, instance):",
        "        if route is not None and not _leads(route, target, instance):",
    ),
    Mutant(
        "sessions-that-ended-still-pass",
        "controllers/edge.py",
        "            await self._ports.gate.revoke(session_hash)",
        "            pass",
    ),
    Mutant(
        "hot-spares-are-not-looked-at",
        "controllers/liveness.py",
        "            return status.ready and status.instance_id == machine.reserved_instance_id",
        "            return True",
        Catcher.SCENES,
    ),
    Mutant(
        "orphans-are-left",
        "controllers/orphans.py",
        "        if await remove() is False:",
        "        if remove is None:",
    ),
    Mutant(
        "a-message-is-enough-for-an-end",
        "controllers/interruption.py",
        "if notice.kind is NoticeKind.ENDED and not await self._has_ended(machine):",
        "if notice.kind is NoticeKind.ENDED and not machine:",
        Catcher.MOVES,
    ),
    Mutant(
        "a-notice-is-confirmed-before-a-row-says-what-follows",
        "controllers/interruption.py",
        "            settled = [delivery.receipt for delivery in deliveries if await self._settles(delivery, machines)]\n"
        "            await self._ports.notices.confirm(settled)",
        "            await self._ports.notices.confirm([delivery.receipt for delivery in deliveries])\n"
        "            [await self._settles(delivery, machines) for delivery in deliveries]",
        Catcher.MOVES,
    ),
    Mutant(
        "a-turn-is-not-waited-for-before-a-move",
        "controllers/interruption.py",
        "        return rests",
        "        return True or rests",
        Catcher.MOVES,
    ),
    Mutant(
        "all-move-at-once-that-have-time",
        "controllers/interruption.py",
        "            if moves:\n                return",
        "            if moves:\n                continue",
        Catcher.MOVES,
    ),
    Mutant(
        "an-address-is-not-held",
        "controllers/edge.py",
        "            if route.owner_id is not None and route.machine_id not in serving:",
        "            if route.owner_id is None and route.machine_id not in serving:",
        Catcher.MOVES,
    ),
    Mutant(
        "a-machine-that-is-left-ends-at-once",
        "controllers/readiness.py",
        "        if await self._serves_on(machine):",
        "        if not machine:",
        Catcher.MOVES,
    ),
    Mutant(
        "found-a-machine-is-ended-by-the-wrong-name",
        "controllers/readiness.py",
        "            await ports.machines.terminate(observed.provider_ref)",
        "            await ports.machines.terminate(machine.id)",
    ),
    Mutant(
        "found-routes-of-deleted-instances-are-kept",
        "controllers/orphans.py",
        'add("route", route.instance_id, f"route of {route.instance_id}"',
        'add("route", route.instance_id, route.instance_id',
        Catcher.SCENES,
    ),
    Mutant(
        "found-work-goes-on-without-a-lease",
        "controllers/heartbeat.py",
        "            if loop.time() >= each.until:",
        "            if False:",
        Catcher.SCENES,
    ),
    # Restore points.
    Mutant(
        "a-restore-point-is-ready-before-it-is",
        "controllers/restore_points.py",
        "        if made.stage is Stage.READY:",
        "        if True:",
    ),
    Mutant(
        "a-restore-point-loses-its-row-before-it-is-gone",
        "controllers/restore_points.py",
        "            await self._points.remove(point.id)\n            await self._forget(point, EventName.RESTORE_POINT_REMOVED)",
        "            await self._forget(point, EventName.RESTORE_POINT_REMOVED)",
        Catcher.RESTORES,
    ),
    Mutant(
        "what-was-set-aside-goes-at-once",
        "controllers/restore_points.py",
        "is VolumeState.MADE and (kept or held_nothing):",
        "is VolumeState.MADE:",
        Catcher.RESTORES,
    ),
)
