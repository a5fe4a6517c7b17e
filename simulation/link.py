"""The way of one control plane to the store and the provider, on which everything can happen to a call.

A call that has left a process is on its way, whatever becomes of the process: its effect takes place in the world's own context.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from simulation.faults import Faults
from simulation.loop import VirtualLoop
from simulation.plan import Fault

ERRORS = (Fault.FAILED, Fault.THROTTLED, Fault.AWAY)
BY_RULE = frozenset({"update", "lose"})
AT_ONCE = frozenset({"signs_in", "public_url", "seal", "unseal", "brings_archives", "carries_archives"})


class Died(asyncio.CancelledError):
    """The process that made the call is dead."""


class Outside(Protocol):
    """What a link needs of the world."""

    loop: VirtualLoop
    faults: Faults
    context: contextvars.Context

    def happened(self, plane: int, call: str, outcome: str) -> None:
        """A call had its effect, or failed."""
        ...


class Link:
    """Makes the calls of one process. Once it is dead, none has an effect that did not leave before."""

    def __init__(self, outside: Outside, plane: int, die: Callable[[], None]) -> None:
        self._outside = outside
        self._plane = plane
        self._die = die
        self.is_alive = True

    async def call(self, name: str, effect: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Have `effect` take place, after a while, and wait for the answer."""
        if not self.is_alive:
            raise Died
        outside = self._outside
        fault = outside.faults.strike(name)
        before, after = outside.faults.delays(fault)
        waiter: asyncio.Future[Any] = outside.loop.create_future()
        outside.loop.call_later(before, self._arrive, name, effect, fault, waiter, after, context=outside.context)
        return await waiter

    def _arrive(
        self, name: str, effect: Callable[[], Coroutine[Any, Any, Any]], fault: Fault | None, waiter: asyncio.Future[Any], after: float
    ) -> None:
        outside = self._outside
        if fault is Fault.DIED_BEFORE:
            outside.happened(self._plane, name, "killed before it")
            self._die()
            return
        error: BaseException | None = outside.faults.error(fault, name) if fault in ERRORS else outside.faults.storm(name)
        if error is not None:
            outside.happened(self._plane, name, str(error))
            self._answer(waiter, None, error)
        elif fault is Fault.LATE:
            self._answer(waiter, None, outside.faults.error(fault, name))
            outside.loop.call_later(outside.faults.lateness(), self._take_effect, name, effect, fault, context=outside.context)
        else:
            answer, error = self._take_effect(name, effect, fault)
            outside.loop.call_later(after, self._answer, waiter, answer, error, context=outside.context) if after else self._answer(
                waiter, answer, error
            )

    def _take_effect(self, name: str, effect: Callable[[], Coroutine[Any, Any, Any]], fault: Fault | None) -> tuple[Any, Exception | None]:
        answer, error = None, None
        try:
            answer = run_now(effect())
        except Exception as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        outcome = "done" if error is None else f"{type(error).__name__}: {error}"
        self._outside.happened(self._plane, name, outcome if fault is None else f"{outcome} ({fault})")
        if fault is Fault.LOST:
            error = self._outside.faults.error(fault, name)
        elif fault is Fault.DIED_AFTER:
            self._die()
        return answer, error

    def _answer(self, waiter: asyncio.Future[Any], answer: Any, error: BaseException | None) -> None:
        if waiter.done() or not self.is_alive:
            return
        if error is not None:
            waiter.set_exception(error)
        else:
            waiter.set_result(answer)


class Wire:
    """A port or a store as a control plane sees it: each call goes over its link."""

    def __init__(self, link: Link, name: str, target: object) -> None:
        self._link = link
        self._name = name
        self._target = target

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._target, method)
        if method in AT_ONCE:
            return found
        name = f"{self._name}.{method}"

        async def call(*arguments: Any, **options: Any) -> Any:
            told = f"{self._name}.{_rule(arguments)}" if method in BY_RULE else name
            return await self._link.call(told, partial(found, *arguments, **options))

        self.__dict__[method] = call
        return call


def _rule(arguments: Sequence[Any]) -> str:
    """The rule of a life that a store is handed: calls with different rules are different calls."""
    return next(str(each.func.__name__) for each in arguments if isinstance(each, partial))


def run_now(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("It had to wait.")
