"""All minutes that a simulated market has traded."""

from __future__ import annotations

from smabot.domain.records import Bar


class Market:
    """All minutes that were traded, as REST has them. It outlives each process."""

    def __init__(self) -> None:
        self.minutes: list[tuple[Bar, ...]] = []
        self.latest: dict[str, Bar] = {}
        """Each symbol's newest bar."""
        self.ended = False
        """Whether the data have ended."""

    def add(self, bars: tuple[Bar, ...]) -> None:
        """Keep a minute's bars."""
        self.minutes.append(bars)
        self.latest.update((bar.symbol, bar) for bar in bars)

    def forget(self, minutes: int) -> None:
        """Forget the newest minutes: they are traded anew."""
        del self.minutes[-minutes:]
        self.latest = {bar.symbol: bar for minute in self.minutes for bar in minute}
