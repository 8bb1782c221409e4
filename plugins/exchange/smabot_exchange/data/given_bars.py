"""Bars that a program gives, instead of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property

from smabot.provider import ZERO, Bar
from smabot_exchange.data.corporate_actions import ListedAction, in_order
from smabot_exchange.data.data_source import DataSource


class GivenBars:
    """A `DataSource` over bars in memory, which end as they are."""

    label = stored_label = "given bars"

    def __init__(
        self,
        bars: Sequence[Bar],
        half_spread: Decimal = ZERO,
        actions: Sequence[ListedAction] = (),
    ) -> None:
        self._actions = in_order(actions)
        self._bars = sorted(bars, key=lambda bar: (bar.time, bar.symbol))
        self.half_spread = half_spread

    @cached_property
    def _digest(self) -> str:
        return hashlib.blake2b(repr(self._bars).encode(), digest_size=16).hexdigest()

    def signature(self) -> str:
        return self._digest

    def fingerprint(self) -> str:
        return self._digest

    def longer(self) -> str:
        return "more bars"

    def cannot_extend(self, signature: str) -> str:
        return "these bars are given by a program"

    def continuing(self, signature: str) -> DataSource:
        return self

    def bars(self) -> Iterator[Bar]:
        return iter(self._bars)

    def actions(self) -> tuple[ListedAction, ...]:
        return self._actions
