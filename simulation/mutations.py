"""The mutants: faults that a person could make, each in a line or two of the production code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Catcher(StrEnum):
    """What has to notice a mutant."""

    SIMULATION = "the standard run"
    CONTRACT = "the contract of the stores"
    MOVES = "the scenes of moves"
    """For what costs a user a turn or a minute, and breaks nothing."""
    SCENES = "the scenes of what was found"
    """For what a run is too short or too mild to show."""


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in the file at `path`, becomes `new`."""

    name: str
    path: str
    old: str
    new: str
    catcher: Catcher = Catcher.SIMULATION


MUTANTS: Final = (
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
        "the-idempotency-key-is-dropped",
        "services/instances.py",
        "            _idempotency(idempotency_key, request),",
        "            None,",
    ),
    Mutant(
        "everybody-is-an-owner",
        "services/reach.py",
        "if instance.owner_id != actor.id:",
        "if False:",
    ),
    Mutant(
        "a-key-stands-in-the-name",
        "services/instances.py",
        "new = NewInstance(actor.user_id, name, request.settings,",
        "new = NewInstance(actor.user_id, name + ''.join(request.credentials.set.values()), request.settings,",
    ),
    Mutant(
        "a-key-stands-in-an-error",
        "controllers/placement/handing.py",
        "    await ports.vault.put(instance.id, given.change.apply_to(document), given.revision)",
        "    from openclaw_hosted.domain.errors import Unavailable\n"
        "    try:\n        await ports.vault.put(instance.id, given.change.apply_to(document), given.revision)\n"
        "    except Unavailable as error:\n        raise Unavailable(f'{error} {dict(given.change.set)}') from None",
    ),
    Mutant(
        "sealed-credentials-are-forgotten-before-the-vault-has-them",
        "controllers/placement/handing.py",
        "        await put_away(ports, instance, given)\n"
        "        await ports.instance_store.update(instance.id, partial(lifecycle.hand_over, revision=given.revision), lease=lease)",
        "        await ports.instance_store.update(instance.id, partial(lifecycle.hand_over, revision=given.revision), lease=lease)\n"
        "        await put_away(ports, instance, given)",
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
        "a-lost-machine-is-not-condemned",
        "domain/lifecycle/machines.py",
        "    ended = condemn(machine, now=now, failure=failure)",
        "    ended = NOTHING",
    ),
    Mutant(
        "a-volume-is-taken-from-a-machine-that-lives",
        "controllers/placement/place.py",
        "is not MachineState.TERMINATED:",
        "is MachineState.ASSIGNED:",
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
    ),
    Mutant(
        "orphans-are-left",
        "controllers/orphans.py",
        "        if await remove() is False:",
        "        if remove is None:",
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
        "a-turn-that-began-meanwhile-is-not-waited-for",
        "controllers/placement/moving.py",
        "        while self._may_wait(old) and not await self._rests(old):",
        "        while self._may_wait(old) and await self._rests(old) is None:",
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
        "found-a-machine-is-ended-by-the-wrong-name",
        "controllers/readiness.py",
        "            await ports.machines.terminate(observed.provider_ref)",
        "            await ports.machines.terminate(machine.id)",
    ),
    Mutant(
        "found-an-instance-is-not-told-that-its-machine-is-gone",
        "domain/lifecycle/machines.py",
        "    if not _loses(instance, machine):",
        "    if True:",
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
        "instance_work=Work.BROKEN",
        "instance_work=Work.FREE",
        Catcher.CONTRACT,
    ),
    Mutant(
        "found-where-a-volume-is-being-made-is-not-said-before",
        "controllers/placement/place.py",
        "                await ports.instance_store.update(instance.id, partial(lifecycle.want_volume, zone=machine.zone), lease=lease)\n",
        "",
        Catcher.SCENES,
    ),
    # The store itself.
    Mutant(
        "the-lease-guards-nothing",
        "store/work.py",
        "self._held = select(table).where(held)",
        'self._held = select(table).where(columns.id == bindparam("held_key", type_=Text))',
    ),
    Mutant(
        "a-leased-row-is-leased-again",
        "store/work.py",
        ".where(has_work, is_past(table.c.next_attempt_at, now, LONGEST_PAUSE_SECONDS), free)",
        ".where(has_work, is_past(table.c.next_attempt_at, now, LONGEST_PAUSE_SECONDS))",
    ),
    Mutant(
        "any-machine-is-claimed",
        "store/machines.py",
        '    .where(_M.state == MachineState.AVAILABLE, or_(_ZONE == "", _M.zone == _ZONE))',
        '    .where(or_(_ZONE == "", _M.zone == _ZONE))',
    ),
    Mutant(
        "the-cap-is-counted-before-the-transaction",
        "store/machines.py",
        "        async with self._database.write() as connection:\n            await self._database.lock(connection, FLEET_LOCK)\n"
        "            room = fleet_cap - await _count_live(connection)",
        "        async with self._database.read() as connection:\n            room = fleet_cap - await _count_live(connection)\n"
        "        async with self._database.write() as connection:",
        Catcher.CONTRACT,
    ),
    Mutant(
        "what-a-user-asked-for-meanwhile-is-dropped",
        "domain/lifecycle/instances.py",
        "    if instance.revision > applied_revision or instance.restarts_asked > restarts_done:",
        "    if False:",
    ),
)
