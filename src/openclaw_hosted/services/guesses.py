"""How often passwords may be tried, so that nobody guesses one, and nobody locks out anybody else.

An attempt is counted before its password is looked at, and given back when that was right. Three things are counted:

- *one account from one network*: strictly. It stops whoever guesses there, and nobody elsewhere.
- *one network, whatever the account*: generously, as an office shares an address.
- *one account, wherever from*: it is only slowed down, as else anybody could shut its user out.

A network from which an account was signed in to before is not held to the last two: its user gets in while others are at it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from openclaw_hosted.domain.errors import LimitReached
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.services.limits import KEYS_KEPT, Attempts

WINDOW_SECONDS: Final = 300.0
FAILURES_TOGETHER: Final = 8
"""For one account from one network."""
FAILURES_OF_NETWORK: Final = 60
FAILURES_BEFORE_SLOWING: Final = 8
"""For one account, wherever from."""
SLOWING_COUNTED: Final = 40
STEP_SECONDS: Final = 0.25
SLOWEST_SECONDS: Final = 5.0
IPV6_PREFIX: Final = 64
"""What one customer of a provider has at least; its addresses are one network here."""
REFUSAL: Final = "Too many failed sign-ins. Wait five minutes, then try again."


@dataclass(frozen=True, slots=True)
class Guess:
    """One attempt that is under way."""

    account: str
    network: str
    together: str
    """The key of both."""
    known: bool
    """Whether somebody signed in to this account from this network before."""
    wait_seconds: float
    """How long it has to wait before its password is looked at."""


class GuessLimiter:
    """Counts attempts to sign in. Kept in memory, `KEYS_KEPT` of each kind: a restart forgets them, and from where people signed in."""

    def __init__(self, clock: Clock) -> None:
        self._together = Attempts(clock, FAILURES_TOGETHER, WINDOW_SECONDS)
        self._networks = Attempts(clock, FAILURES_OF_NETWORK, WINDOW_SECONDS)
        self._accounts = Attempts(clock, SLOWING_COUNTED, WINDOW_SECONDS)
        self._known: OrderedDict[str, None] = OrderedDict()

    def begin(self, account: str, client: str) -> Guess:
        """Count an attempt for `account`, an e-mail address, from `client`, a network address. Raises `LimitReached`."""
        name, network = account[:254], network_of(client)
        together = f"{network} {name}"
        known = together in self._known
        if self._together.is_full(together) or (self._networks.is_full(network) and not known):
            raise LimitReached(REFUSAL)
        guess = Guess(name, network, together, known=known, wait_seconds=0.0 if known else self._slowing(name))
        self._together.add(together)
        if not known:
            self._networks.add(network)
            self._accounts.add(name)
        return guess

    def succeeded(self, guess: Guess) -> None:
        """Its password was right: what was counted is given back, and its network is known from now on. Failures for other accounts
        stay counted, as else one who has an account could try theirs without end."""
        self.give_back(guess)
        self._together.forget(guess.together)
        self._known[guess.together] = None
        self._known.move_to_end(guess.together)
        if len(self._known) > KEYS_KEPT:
            self._known.popitem(last=False)

    def give_back(self, guess: Guess) -> None:
        """Its password was right, or was not looked at."""
        self._together.take_back(guess.together)
        if not guess.known:
            self._networks.take_back(guess.network)
            self._accounts.take_back(guess.account)

    def _slowing(self, account: str) -> float:
        beyond = self._accounts.recent(account) - FAILURES_BEFORE_SLOWING + 1
        return min(SLOWEST_SECONDS, max(0, beyond) * STEP_SECONDS)


def network_of(client: str) -> str:
    """Whose attempts count together: an IPv4 address, or the network of an IPv6 address. Other text stands for itself."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client[:60]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, IPV6_PREFIX), strict=False))
