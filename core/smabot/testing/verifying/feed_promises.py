"""What a feed promises: a clock that does not go back, whole minutes in order, and none missing after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Bar, Batch
from smabot.errors import ConfigError
from smabot.testing.verifying.plugin_checks import Outcome, check, failed, passed
from smabot.testing.verifying.plugin_roles import Role
from smabot.testing.verifying.provider_connection import connected
from smabot.testing.verifying.subject import Subject

MINUTES = 20
UNKNOWN = "NOSUCHSYMBOL"


@check(
    "clock",
    Role.FEED,
    promise="now() answers at a start before catch_up(), in UTC, and never goes back",
    remedy="return an aware UTC time; in catch_up() move forward only",
)
def clock(subject: Subject) -> Outcome:
    with connected(subject, "clock") as connection:
        feed = connection.feed
        seen = [feed.now()]
        if not isinstance(seen[0], datetime) or seen[0].utcoffset() != UTC.utcoffset(None):
            return failed(1, f"now() answers {seen[0]!r} at a start, which is no time in UTC")
        feed.catch_up(seen[0] - 10 * MINUTE)
        seen.append(feed.now())
        feed.catch_up(seen[-1])
        seen.append(feed.now())
        connection.subscribe()
        for batch in connection.run(MINUTES):
            seen.append(feed.now())
            if batch.time > seen[-1]:
                return failed(
                    len(seen), f"a batch of {batch.time} arrives when now() is {seen[-1]}"
                )
    back = [later for before, later in pairwise(seen) if later < before]
    return failed(len(seen), f"now() goes back, to {back[0]}") if back else passed(len(seen))


@check(
    "whole-minutes",
    Role.FEED,
    promise="bars come as whole minutes, in order, sorted by symbol, each once and when it is over",
    remedy="put a minute together before it is delivered, and leave out what was delivered before",
)
def whole_minutes(subject: Subject) -> Outcome:
    with connected(subject, "minutes") as connection:
        begun = connection.feed.now()
        connection.subscribe()
        batches: list[Any] = connection.run(MINUTES)
        for number, batch in enumerate(batches, 1):
            if not isinstance(batch, Batch):
                return failed(number, f"next() answers {type(batch).__name__}, which is no Batch")
            if wrong := _wrong_minutes(list(batch.bars), connection.symbols, batch.time):
                return failed(number, f"next(): {wrong}")
        bars = connection.bars()
        if not bars:
            return failed(len(batches), "no bar arrives")
        if early := [bar for bar in bars if bar.end <= begun]:
            return failed(
                len(bars), f"next() delivers {_named(early[0])}, which was over at the start"
            )
        keys = [(bar.time, bar.symbol) for bar in bars]
        if len({*keys}) < len(keys):
            return failed(len(bars), "next() delivers a bar twice")
        if [bar.time for bar in bars] != sorted(bar.time for bar in bars):
            return failed(len(bars), "next() delivers a minute after a later one")
    return passed(len(bars))


@check(
    "history",
    Role.FEED,
    promise="history() has closed bars only, oldest first, and again what was delivered before a restart",
    remedy="read history from where the bars are kept, with the same values and without the open minute",
)
def history(subject: Subject) -> Outcome:
    with connected(subject, "history") as connection:
        begun = connection.feed.now()
        connection.subscribe()
        connection.run(MINUTES)
        delivered = connection.bars()
    with connected(subject, "history") as again:
        if delivered:
            again.feed.catch_up(max(bar.end for bar in delivered))
        now = again.feed.now()
        minutes = [list(each) for each in again.feed.history(again.symbols, begun - MINUTE, 0)]
        for minute in minutes:
            if wrong := _wrong_minutes(minute, again.symbols, now):
                return failed(len(minutes), f"history(): {wrong}")
        times = [minute[0].time for minute in minutes]
        if times != sorted({*times}):
            return failed(len(minutes), "history() gives a minute twice, or after a later one")
        found = {(bar.time, bar.symbol): bar for minute in minutes for bar in minute}
        for bar in delivered:
            if (kept := found.get((bar.time, bar.symbol))) is None:
                return failed(
                    len(found),
                    f"after a restart history() lacks {_named(bar)}, which was delivered",
                )
            if kept[:7] != bar[:7]:
                return failed(
                    len(found), f"after a restart history() has {_named(bar)} with other values"
                )
        for newest in (1, 5):
            few = list(again.feed.history(again.symbols, None, newest))
            if len(few) > newest:
                return failed(len(found), f"history(…, None, {newest}) gives {len(few)} minutes")
    return passed(len(found))


@check(
    "symbols",
    Role.FEED,
    promise="tradable() returns symbols that it has, and names an unknown one in a ConfigError",
    remedy="raise ConfigError(f'no bars of {symbol}') for a symbol that is not there",
)
def symbols(subject: Subject) -> Outcome:
    with connected(subject, "symbols") as connection:
        if connection.feed.tradable(connection.symbols[:1]) != connection.symbols[:1]:
            return failed(1, f"tradable() of {connection.symbols[0]} does not return just that")
        try:
            connection.feed.tradable([connection.symbols[0], UNKNOWN])
        except ConfigError as error:
            named = UNKNOWN in str(error)
            return passed(2) if named else failed(2, f"its error does not name {UNKNOWN}: {error}")
        return failed(2, f"tradable() takes {UNKNOWN}, a symbol that nobody has")


def _wrong_minutes(bars: list[Bar], asked: Sequence[str], now: datetime) -> str:
    """Say what is wrong with bars that are delivered at once; empty: nothing."""
    if [(bar.time, bar.symbol) for bar in bars] != sorted((bar.time, bar.symbol) for bar in bars):
        return "bars are not sorted by minute and symbol"
    for bar in bars:
        if bar.symbol not in asked:
            return f"{_named(bar)} was not asked for"
        if bar.time.utcoffset() != UTC.utcoffset(None) or bar.time.second or bar.time.microsecond:
            return f"{_named(bar)} does not start at a whole minute in UTC"
        if bar.end > now:
            return f"{_named(bar)} is not over at {now:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def _named(bar: Bar) -> str:
    return f"the bar of {bar.symbol} at {bar.time:%Y-%m-%d %H:%M} UTC"
