"""Which faults strike when: a function of the seed and of what happens, counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from smabot_exchange.faults.fault_bases import Fault

F = TypeVar("F", bound="Fault")
REMEMBERED = 2_000
"""Occasions that a fault knows to have met before: what they are about comes again soon or never."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that a fault may strike at.

    ``key`` says what it is about, the same in each run: chance is drawn from it, so that the order
    in which a client's threads come does not matter.
    """

    key: str
    time: datetime
    method: str = ""
    path: str = ""
    symbol: str = ""
    client_order_id: str = ""
    event: str = ""


class _ActiveFault:
    """A fault, and what it has met."""

    def __init__(self, fault: Fault, number: int) -> None:
        self.fault = fault
        self.number = number
        self.seen = 0
        self.struck = 0
        asked = ((name, getattr(fault, name)) for name in fault.patterns)
        self._patterns = [(name, pattern) for name, pattern in asked if pattern != "*"]
        self._met: Counter[str] = Counter()

    def strikes(self, occasion: Occasion, seed: int) -> bool:
        fault = self.fault
        if fault.times is not None and self.struck >= fault.times:
            return False
        if not fault.covers(occasion.time):
            return False
        for name, pattern in self._patterns:
            if not fnmatchcase(getattr(occasion, name), pattern):
                return False
        self.seen += 1
        if fault.nth is not None and self.seen != fault.nth:
            return False
        if fault.probability < 1 and self._draw(occasion.key, seed) >= fault.probability:
            return False
        self.struck += 1
        return True

    def _draw(self, key: str, seed: int) -> float:
        """Return a number from 0 to 1 that only depends on seed, fault and what was met before."""
        self._met[key] += 1
        if len(self._met) > REMEMBERED:
            del self._met[next(iter(self._met))]
        text = f"{seed} {self.number} {key} {self._met[key]}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


class FaultPlan:
    """The faults that are set. Shared by all threads of the exchange and of its server: one lock
    guards changes and draws, and what is read without it is replaced whole."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self.seed = seed
        self.version = 0
        """Changes when other faults are set."""
        self._active: list[_ActiveFault] = []
        self._kinds: dict[type[Fault], list[_ActiveFault]] = {}
        self._count = 0
        self._lock = Lock()
        self.add(faults)

    def __bool__(self) -> bool:
        """Whether any fault is set."""
        return bool(self._active)

    def add(self, faults: Sequence[Fault]) -> None:
        with self._lock:
            self.version += 1
            for fault in faults:
                active = _ActiveFault(fault, self._count)
                self._count += 1
                self._active = [*self._active, active]
                kind = type(fault)
                self._kinds = {**self._kinds, kind: [*self._kinds.get(kind, ()), active]}

    def clear(self) -> None:
        """Remove all faults and their counts; what they have done stays done."""
        with self._lock:
            self.version += 1
            self._active = []
            self._kinds = {}

    def any(self, *kinds: type[Fault]) -> bool:
        """Whether a fault of one of these kinds is set: where none is, nothing need be prepared."""
        return any(kind in self._kinds for kind in kinds)

    def strikes(self, kind: type[F], occasion: Occasion, **fields: object) -> Iterator[F]:
        """Yield the faults of a kind that strike now; ``fields`` must equal the fault's own.

        What is not taken from the iterator has not struck.
        """
        for active in self._kinds.get(kind, ()):
            fault = active.fault
            if any(getattr(fault, name) != value for name, value in fields.items()):
                continue
            with self._lock:
                struck = active.strikes(occasion, self.seed)
            if struck:
                assert isinstance(fault, kind)
                yield fault

    def first(self, kind: type[F], occasion: Occasion, **fields: object) -> F | None:
        """Return the first fault of a kind that strikes now."""
        return next(self.strikes(kind, occasion, **fields), None)

    def counts(self) -> dict[str, int]:
        """Return how often each fault has struck, by name; those that never did too."""
        counts: Counter[str] = Counter()
        for active in self._active:
            counts[active.fault.label] += active.struck
        return dict(counts)

    def documents(self) -> list[dict[str, object]]:
        """Return the faults as they were given, each with its count."""
        return [{**active.fault.document(), "count": active.struck} for active in self._active]
