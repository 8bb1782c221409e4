"""One call at a time, and none any more once one has failed in the middle.

States of what is shared:

1. OPEN: calls are made one after the other, from whichever thread.
2. STOPPED: a call failed for another reason than a refusal; each later one raises `ExchangeStopped`.
3. CLOSED: as 2, on purpose.

1 → 2 → 3 or 1 → 3. Memory is ahead of the ledger in state 2 alone, and nothing is answered from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Concatenate, ParamSpec, TypeVar

from smabot.provider import BrokerError
from smabot_exchange.matching.orders import RequestRefused

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Serialised")


class ExchangeStopped(BrokerError):
    """The exchange has failed and answers no more."""


class Serialised:
    """What threads share: calls that are marked `one_at_a_time` are made one after the other.

    An attribute that is read without it is replaced whole, never changed in place.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._stopped = ""


def one_at_a_time(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make calls one after the other, and stop for good when one fails in the middle: what is in memory
    may then be ahead of the ledger."""

    @wraps(method)
    def call_alone(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock:
            if self._stopped:
                raise ExchangeStopped(self._stopped)
            try:
                return method(self, *args, **kwargs)
            except RequestRefused:
                raise
            except BaseException as error:
                self._stopped = f"the exchange has stopped: {error or type(error).__name__}"
                raise

    return call_alone
