"""One caller at a time, and none any more once a turn was not finished."""

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
    """Something that threads share."""

    def __init__(self) -> None:
        self._turn = RLock()
        self._stopped = ""


def one_at_a_time(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let threads take turns, and stop for good when a turn was not finished: what is in memory
    may then be ahead of the ledger."""

    @wraps(method)
    def turn(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._turn:
            if self._stopped:
                raise ExchangeStopped(self._stopped)
            try:
                return method(self, *args, **kwargs)
            except RequestRefused:
                raise
            except BaseException as error:
                self._stopped = f"the exchange has stopped: {error or type(error).__name__}"
                raise

    return turn
