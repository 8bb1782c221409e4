"""The author's own data as markets: spans of any data that the paper exchange replays, chosen by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from smabot.domain.calendar import MINUTE, Calendar
from smabot.domain.records import Bar
from smabot.errors import ConfigError
from smabot.hooks.discovery import discover
from smabot.hooks.plugins import Plugins
from smabot.settings.model import IN_MEMORY, Config
from smabot.testing.verifying.generated_markets import Market, minutes_for

READER = "exchange"
MOST_BARS = 200_000
"""Bars that are read, from the first one on: two years of a symbol."""
MOST_SYMBOLS = 5
"""Symbols that are read where none are named, the first ones by name."""
DRAWN = 2
"""Spans that chance chooses, beside the one with the most gaps."""


@dataclass(frozen=True, slots=True)
class OwnBars:
    """Data that were read: their minutes, oldest first, each with its bars."""

    data: str
    """As the author named it."""
    symbols: tuple[str, ...]
    minutes: Sequence[tuple[Bar, ...]]
    calendar: Calendar

    @classmethod
    def read(cls, data: str, config: Config) -> OwnBars:
        """Read a file or a folder as `smabot backtest --data` takes it, with the settings' symbols and time zone.

        Raises ConfigError where the data are wrong or have no bars, or the plugin that reads them is not
        installed.
        """
        if READER not in discover():
            raise ConfigError(
                "--data needs the plugin that reads data files: pip install smabot-exchange"
            )
        replayed = Config(
            broker=READER, data=data, data_zone=config.data_zone, speed="max",
            symbols=config.symbols, db=IN_MEMORY,
        )  # fmt: skip
        plugins = Plugins.load(replayed, [READER])
        with (
            plugins.named_in_errors(),
            closing(plugins.open_broker(replayed)) as broker,
            closing(plugins.open_feed(replayed)) as feed,
        ):
            symbols = feed.tradable(replayed.symbols)
            symbols = symbols if replayed.symbols else symbols[:MOST_SYMBOLS]
            feed.subscribe(symbols)
            minutes: list[tuple[Bar, ...]] = []
            bars = 0
            while bars < MOST_BARS and (batch := feed.next(0)) is not None:
                if batch.bars:
                    minutes.append(batch.bars)
                    bars += len(batch.bars)
            calendar = broker.calendar()
        if not minutes:
            raise ConfigError(f"--data {data}: has no bars in regular sessions")
        return cls(data, tuple(symbols), minutes, calendar)

    def require(self, plugin: str, lookback: int) -> None:
        """Raise ConfigError where a restart could not be shown twice a plugin's lookback."""
        needed = 2 * lookback + 1
        if len(self.minutes) < needed:
            raise ConfigError(
                f"--data {self.data}: has bars of {len(self.minutes):,} minutes, too few for {plugin}: its "
                f"lookback of {lookback:,} needs {needed:,} or more"
            )

    def spans(self, lookback: int) -> tuple[Market, ...]:
        """Return markets of a length that fits a lookback, the same ones each time: one has the most gaps."""
        length = min(minutes_for(lookback), len(self.minutes))
        starts = range(len(self.minutes) - length + 1)
        chance = Random(71)  # noqa: S311 - the same each time
        drawn = {chance.choice(starts) for _ in range(DRAWN)}
        chosen = sorted({*drawn, self._start_of_most_gaps(length)})
        return tuple(
            self._market(f"data-{number}", start, length) for number, start in enumerate(chosen, 1)
        )

    def _market(self, name: str, start: int, length: int) -> Market:
        minutes = self.minutes[start : start + length]
        first, last = minutes[0][0].time, minutes[-1][0].time
        sessions = [
            each for each in self.calendar.sessions if first < each.close and each.open <= last
        ]
        return Market(name, tuple(bar for bars in minutes for bar in bars), tuple(sessions))

    def _start_of_most_gaps(self, length: int) -> int:
        lacking = [0, *accumulate(map(self._lacking, range(len(self.minutes))))]
        starts = range(len(self.minutes) - length + 1)
        # what a span's first minute lacks before it is no gap of the span
        return max(starts, key=lambda start: lacking[start + length] - lacking[start + 1])

    def _lacking(self, place: int) -> int:
        """Return how many bars the session lacks between the minute before and this one, and in it."""
        bars = self.minutes[place]
        time = bars[0].time
        session = self.calendar.session_at(time)
        begin = time if session is None else session.open
        if place:
            begin = max(begin, self.minutes[place - 1][0].end)
        return ((time - begin) // MINUTE + 1) * len(self.symbols) - len(bars)
