"""Minute bars as columns, a file that is mapped into memory: a year of many symbols costs no more than a minute.

A file has chunks, each the bars of one symbol in ascending time: the columns of `COLUMNS` one after the other,
eight bytes a value. After them come the minutes that have a bar, the index in JSON, where that begins, and a
checksum of all before.
"""

from __future__ import annotations

import json
import mmap
import struct
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import islice, repeat
from math import isnan, nan
from operator import attrgetter
from typing import IO, Any, NamedTuple
from zlib import crc32

from smabot.provider import Bar

VERSION = 1
MAGIC = b"SMBARS01"
COLUMNS = "qdddddqd"
"""Seconds since 1970, open, high, low, close, volume, trade count (-1: none), vwap (not a number: none)."""
_WIDTH = 8
_BUFFERED = 200_000
"""Bars that are written at once."""
_READ_AHEAD = 4096
_RELEASED_AFTER = 1_000_000
"""Bars, 64 bytes each: so many stay in memory at most, of a file that is mapped."""
_TRAILER = struct.Struct("<qI8s")

Row = tuple[Any, ...]
"""Seconds, symbol, and the other columns; None for what a bar does not say."""
Minutes = list[tuple[datetime, list[Bar]]]


class ColumnsWriter:
    """Writes bars as they come; those of a symbol in ascending time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._place = self._sum = 0
        self._chunks: dict[str, list[tuple[int, int]]] = {}
        self._rows: dict[str, list[Row]] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows."""
        buffered, waiting = 0, self._rows
        for row in rows:
            symbol = row[1]
            if symbol in waiting:
                waiting[symbol].append(row)
            else:
                waiting[symbol] = [row]
            buffered += 1
            if buffered == _BUFFERED:
                self._flush()
                buffered = 0
        self._flush()

    def finish(self, minutes: Iterable[int], facts: Mapping[str, Any]) -> None:
        """Write the minutes that have a bar, and the index with some ``facts``, as JSON has them."""
        place, starts = self._place, array("q", sorted(minutes))
        self._write(starts.tobytes())
        index = {"chunks": self._chunks, "minutes": (place, len(starts)), "facts": facts}
        begin = self._place
        self._write(json.dumps(index).encode())
        self._write(_TRAILER.pack(begin, self._sum, MAGIC))

    def _flush(self) -> None:
        for symbol, rows in self._rows.items():
            self._chunks.setdefault(symbol, []).append((self._place, len(rows)))
            stamps, _, *prices, counts, vwaps = zip(*rows, strict=True)
            self._write(array("q", stamps).tobytes())
            for column in prices:
                self._write(array("d", column).tobytes())
            self._write(array("q", [-1 if n is None else n for n in counts]).tobytes())
            self._write(array("d", [nan if w is None else w for w in vwaps]).tobytes())
        self._rows.clear()

    def _write(self, content: bytes) -> None:
        self._stream.write(content)
        self._place += len(content)
        self._sum = crc32(content, self._sum)


class _Chunk(NamedTuple):
    """Some bars of a symbol: where its columns begin, how many there are, and their times."""

    place: int
    size: int
    first: int
    last: int
    stamps: Sequence[int]


_bar_of = partial(tuple.__new__, Bar)
_first, _last = attrgetter("first"), attrgetter("last")


class BarColumns:
    """Reads what `ColumnsWriter` has written. Its content may be shared; nothing is changed."""

    def __init__(self, content: Any) -> None:
        """``content``: bytes, or a file that is mapped. Raises ValueError where it is damaged."""
        self._content = view = memoryview(content)
        if len(view) < _TRAILER.size:
            raise ValueError("too short")
        begin, checksum, magic = _TRAILER.unpack(view[-_TRAILER.size :])
        if magic != MAGIC or self._sum(view[: -_TRAILER.size]) != checksum:
            raise ValueError("not columns of bars, or damaged")
        index = json.loads(bytes(view[begin : -_TRAILER.size]))
        self.facts: Mapping[str, Any] = index["facts"]
        place, count = index["minutes"]
        self.minutes: Sequence[int] = self._column("q", place, count)
        """The minutes that have a bar, seconds since 1970, ascending."""
        self._chunks = index["chunks"]
        self._minutes_at_once = max(_READ_AHEAD // max(len(self._chunks), 1), 1)
        self._unreleased = _RELEASED_AFTER

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self._chunks))

    def minutes_from(self, stamp: int) -> Minutes:
        """Return some of the minutes that start at or after a time, one at least if there is one."""
        first = bisect_left(self.minutes, stamp)
        starts = self.minutes[first : first + self._minutes_at_once]
        if not starts:
            return []
        self._unreleased += _READ_AHEAD
        if self._unreleased >= _RELEASED_AFTER:
            self._release()
        times = {start: datetime.fromtimestamp(start, UTC) for start in starts}
        found: dict[int, list[Bar]] = {start: [] for start in starts}
        for symbol in self.symbols:
            for start, bar in self._bars(symbol, starts[0], starts[-1], times):
                found[start].append(bar)
        return [(times[start], bars) for start, bars in found.items()]

    def bar_before(self, symbol: str, stamp: int) -> Bar | None:
        """Return a symbol's last bar that starts before a time."""
        chunks = self._chunks_of.get(symbol, ())
        if not (number := bisect_left(chunks, stamp, key=_first)):
            return None
        chunk = chunks[number - 1]
        return self._bar(symbol, chunk, bisect_left(chunk.stamps, stamp) - 1)

    def bars_at(self, stamps: Sequence[int], symbols: Collection[str]) -> list[Bar]:
        """Return the bars of some minutes, by time, then by symbol."""
        wanted = sorted(set(stamps))
        found = [
            bar
            for symbol in sorted(set(symbols))
            for stamp in wanted
            if (bar := self._bar_at(symbol, stamp)) is not None
        ]
        return sorted(found, key=lambda bar: (bar.time, bar.symbol))

    def _bar_at(self, symbol: str, stamp: int) -> Bar | None:
        chunks = self._chunks_of.get(symbol, ())
        number = bisect_left(chunks, stamp, key=_last)
        if number == len(chunks) or chunks[number].first > stamp:
            return None
        chunk = chunks[number]
        place = bisect_left(chunk.stamps, stamp)
        return self._bar(symbol, chunk, place) if chunk.stamps[place] == stamp else None

    @cached_property
    def _chunks_of(self) -> dict[str, list[_Chunk]]:
        return {
            symbol: [self._chunk(place, count) for place, count in chunks]
            for symbol, chunks in self._chunks.items()
        }

    def _chunk(self, place: int, count: int) -> _Chunk:
        stamps = self._column("q", place, count)
        return _Chunk(place, count, stamps[0], stamps[-1], stamps)

    def _bars(
        self, symbol: str, first: int, last: int, times: Mapping[int, datetime]
    ) -> Iterator[tuple[int, Bar]]:
        """Yield a symbol's bars from a minute to another with their starts; ``times``: of all minutes."""
        chunks = self._chunks_of[symbol]
        for chunk in islice(chunks, bisect_left(chunks, first, key=_last), None):
            if chunk.first > last:
                return
            begin, end = bisect_left(chunk.stamps, first), bisect_left(chunk.stamps, last + 1)
            stamps, *values, counts, vwaps = self._columns(chunk, begin, end)
            rows = zip(
                repeat(symbol), map(times.__getitem__, stamps), *values,
                [None if count < 0 else count for count in counts],
                [None if isnan(vwap) else vwap for vwap in vwaps],
                strict=False,
            )  # fmt: skip
            yield from zip(stamps, map(_bar_of, rows), strict=True)

    def _bar(self, symbol: str, chunk: _Chunk, place: int) -> Bar:
        columns = self._columns(chunk, place, place + 1)
        stamp, open_, high, low, close, volume, count, vwap = (value for (value,) in columns)
        time = datetime.fromtimestamp(stamp, UTC)
        count, vwap = None if count < 0 else count, None if isnan(vwap) else vwap
        return Bar(symbol, time, open_, high, low, close, volume, count, vwap)

    def _columns(self, chunk: _Chunk, begin: int, end: int) -> list[list[Any]]:
        size = chunk.size * _WIDTH
        return [
            self._column(kind, chunk.place + number * size, chunk.size)[begin:end].tolist()
            for number, kind in enumerate(COLUMNS)
        ]

    def _sum(self, view: memoryview) -> int:
        found, at_once = 0, _RELEASED_AFTER * len(COLUMNS) * _WIDTH
        for place in range(0, len(view), at_once):
            found = crc32(view[place : place + at_once], found)
            self._release()
        return found

    def _release(self) -> None:
        """Let go of the pages that were read: a mapped file is read again where it is needed."""
        self._unreleased = 0
        if isinstance(file := self._content.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            file.madvise(mmap.MADV_DONTNEED)

    def _column(self, kind: str, place: int, count: int) -> Any:
        return self._content[place : place + count * _WIDTH].cast(kind)  # type: ignore[call-overload]
