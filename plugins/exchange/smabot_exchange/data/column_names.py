"""Which column of a data file means what: by the names that data sources usually give."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from smabot.provider import ConfigError, listed, suggest

COLUMNS = (
    "symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap",
)  # fmt: skip
"""smabot's own columns, in their order: the meanings that a column can have."""

NAMES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "s"),
    "timestamp": (
        "timestamp",
        "datetime",
        "date_time",
        "window_start",
        "ts_event",
        "begins_at",
        "t",
        "time",
        "date",
    ),
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price", "latest", "last"),
    "volume": ("volume", "v", "vol", "real_volume"),
    "trade_count": ("trade_count", "n", "transactions", "trades", "barcount"),
    "vwap": ("vwap", "vw", "wap"),
}
"""Each meaning's names, as `plain_name` returns them; the first one that a file has counts."""

_REQUIRED = ("timestamp", "open", "high", "low", "close", "volume")
_UNNAMED = ("", "unnamed:_0", "__index_level_0__", "index")
"""What pandas calls an index without a name."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A file's columns, by what they mean."""

    header: tuple[str, ...]
    places: dict[str, int]
    """Of each meaning the place of its column."""
    clock: int | None = None
    """The place of the time of day, where the date has a column of its own."""
    ignored: tuple[str, ...] = field(default=())

    @property
    def own(self) -> bool:
        """Whether they are smabot's own columns in their own order."""
        return self.header == COLUMNS

    @property
    def in_billionths(self) -> bool:
        """Whether whole prices are billionths of a dollar, as Databento's are."""
        return plain_name(self.header[self.places["timestamp"]]) == "ts_event"

    def shown(self) -> list[tuple[str, str]]:
        """Return each meaning with the name of its column in the file."""
        pairs = []
        for meaning in COLUMNS:
            if meaning in self.places:
                name = self.header[self.places[meaning]] or "(no name)"
                if meaning == "timestamp" and self.clock is not None:
                    name = f"{name} + {self.header[self.clock]}"
                pairs.append((meaning, name))
        return pairs


def plain_name(name: str) -> str:
    """Return a column's name without case, marks and spaces: ``<VOL>`` and ``5. volume`` mean the same."""
    bare = re.sub(r"^\d+\.\s+", "", name.strip().strip("<>\"'").strip())
    return re.sub(r"[\s\-]+", "_", bare).casefold()


def match_columns(header: Sequence[str], where: str) -> Columns:
    """Find the columns that a bar needs. Raises ConfigError that says what is missing, or given twice."""
    names = [plain_name(name) for name in header]
    if "t" in header and "T" in header:
        names[header.index("T")] = (
            "(type)"  # Alpaca's messages have the time and the message's type
        )
    places: dict[str, int] = {}
    for meaning, known in NAMES.items():
        for name in known:
            if names.count(name) > 1:
                twice = header[len(names) - 1 - names[::-1].index(name)]
                raise ConfigError(f"{where}: column {twice!r} is given twice: leave one out")
            if name in names:
                places[meaning] = names.index(name)
                break
    clock = None
    if "timestamp" in places and names[places["timestamp"]] == "time" and "date" in names:
        clock, places["timestamp"] = places["timestamp"], names.index("date")
    if "timestamp" not in places:
        unnamed = [place for place, name in enumerate(names) if name in _UNNAMED]
        if unnamed and len(places) > 1:
            places["timestamp"] = unnamed[0]
    used = {*places.values(), clock}
    ignored = tuple(name for place, name in enumerate(header) if place not in used)
    if missing := [meaning for meaning in _REQUIRED if meaning not in places]:
        raise ConfigError(f"{where}: {_what_is_missing(header, missing, places, ignored)}")
    return Columns(tuple(header), places, clock, ignored)


def _what_is_missing(
    header: Sequence[str], missing: list[str], places: dict[str, int], ignored: Sequence[str]
) -> str:
    if len(places) < 2 and any(_is_value(text) for text in header):
        return (
            "has no header: its first line is data; import it with --columns and the columns' names, or put a "
            "line with them above it, as in date,time,open,high,low,close,volume"
        )
    text = f"no column {', '.join(missing)}"
    if "close" in missing and any("adj" in plain_name(name) for name in ignored):
        return f"{text}: an adjusted close is no price that was traded"
    if "volume" in missing and any("tick" in plain_name(name) for name in ignored):
        return f"{text}: a count of ticks does not tell the shares that were traded"
    known = [name for meaning in missing for name in NAMES[meaning] if len(name) > 1]
    for name in ignored:
        if hint := suggest(plain_name(name), known):
            return f"{text}: column {name!r} is unknown{hint}"
    shown = listed([repr(name) for name in header])
    return f"{text}: there are {shown}"


def _is_value(text: str) -> bool:
    return re.fullmatch(r"[\d.:/\-T\s+Z]*\d[\d.:/\-T\s+Z]*", text.strip()) is not None
