"""Frames and pages to core's bars, without a model or a date parsed per bar.

Shapes: https://docs.alpaca.markets/docs/real-time-stock-pricing-data (stream: ``T S o h l c v n vw t``)
and https://docs.alpaca.markets/reference/stockbars (pages: the same without ``T`` and ``S``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from smabot.provider import Bar, Calendar, is_valid_bar, left_out_bar

CACHED_MINUTES = 5_000
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, OverflowError)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Row(msgspec.Struct, tag_field="T", tag="b", gc=False):
    """A bar of the data stream, by Alpaca's names."""

    S: str
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float
    t: Moment
    n: int | None = None
    vw: float | None = None


class _Revised(_Row, tag="u", gc=False):
    """The same, with late trades."""


class _PageRow(msgspec.Struct, gc=False):
    """A bar of a page of history; its time is parsed once for all symbols."""

    t: str
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float
    n: int | None = None
    vw: float | None = None


_rows = msgspec.msgpack.Decoder(list[_Row | _Revised])
_anything = msgspec.msgpack.Decoder(list[dict[str, Any]])


class MalformedData(ValueError):
    """What came is not what Alpaca's documents say."""


@dataclass(slots=True)
class Frame:
    """What one frame of the data stream held. ``counted``: its minute bars, those left out too."""

    bars: list[Bar] = field(default_factory=list)
    revisions: list[Bar] = field(default_factory=list)
    control: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Bars that are left out: the symbol, and what is wrong."""
    counted: int = 0
    beyond: int = 0
    """Bars that were dropped because no session is known for that time."""


class BarDecoder:
    """Decodes bars of regular sessions; the 16:00 bar and those of extended hours are dropped.

    Not safe to share between threads.
    """

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._minutes: dict[str, datetime | None] = {}
        self._last: tuple[datetime | None, datetime | None] = (None, None)

    def decode_frame(self, data: bytes | str) -> Frame:
        """Decode one frame of the data stream. Raises MalformedData."""
        frame = Frame()
        if isinstance(data, str):
            raise MalformedData("text where msgpack was agreed on")
        try:
            try:
                self._sort(_rows.decode(data), frame)
            except msgspec.MsgspecError:
                self._mixed(data, frame)
        except MalformedData:
            raise
        except (msgspec.MsgspecError, RecursionError, *UNREADABLE) as error:
            raise MalformedData(f"a frame that can't be read: {error}") from error
        return frame

    def _mixed(self, data: bytes, frame: Frame) -> None:
        """Decode a frame that holds something else than bars, or bars that can't be read."""
        rows: list[_Row | _Revised] = []
        for message in _anything.decode(data):
            kind = message["T"]
            if not isinstance(kind, str):
                raise MalformedData("a message whose type is no text")
            if kind not in ("b", "u"):
                frame.control.append(message)
                continue
            try:
                rows.append(msgspec.convert(message, _Row | _Revised))
            except msgspec.ValidationError as error:
                self._leave_out(frame, message, str(error))
        self._sort(rows, frame)

    def _leave_out(self, frame: Frame, message: Mapping[str, Any], why: str) -> None:
        frame.counted += message["T"] == "b"
        frame.unreadable.append((str(message.get("S") or ""), f"a bar can't be read: {why}"))

    def _sort(self, rows: list[_Row | _Revised], frame: Frame) -> None:
        bars, revisions, new = frame.bars, frame.revisions, tuple.__new__
        last, time = self._last
        for row in rows:
            kind = bars if type(row) is _Row else revisions
            frame.counted += kind is bars
            if row.t != last:
                last = row.t
                try:
                    time = self._minute(last)
                except MalformedData as error:
                    frame.unreadable.append((row.S, str(error)))
                    last = None
                    continue
            if time is None:
                frame.beyond += self._beyond(last)
                continue
            # what Bar(...) does, at a third of its cost
            bar = new(Bar, (row.S, time, row.o, row.h, row.l, row.c, row.v, row.n or None, row.vw or None))  # fmt: skip
            if is_valid_bar(bar):
                kind.append(bar)
            else:
                frame.unreadable.append((row.S, left_out_bar(bar)))
        self._last = (last, time)

    def decode_page(
        self, bars: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> tuple[list[Bar], list[tuple[str, str]]]:
        """Decode one page of historical bars; return them, and by symbol what is wrong with others.

        Raises MalformedData where it is no page at all.
        """
        minutes, decoded = self._minutes, list[Bar]()
        unreadable: list[tuple[str, str]] = []
        try:
            for symbol, rows in bars.items():
                for m in rows:
                    try:
                        row = msgspec.convert(m, _PageRow)
                        time = minutes[row.t] if row.t in minutes else self._parsed(row.t)
                        if time is None:
                            continue
                        bar = Bar(
                            symbol, time, row.o, row.h, row.l, row.c, row.v, row.n or None, row.vw or None
                        )  # fmt: skip
                        sound = is_valid_bar(bar)
                    except UNREADABLE as error:
                        unreadable.append((symbol, f"a bar can't be read: {error!r}"))
                        continue
                    if sound:
                        decoded.append(bar)
                    else:
                        unreadable.append((symbol, left_out_bar(bar)))
        except UNREADABLE as error:
            raise MalformedData(f"bars that can't be read: {error!r}") from error
        return decoded, unreadable

    def _parsed(self, text: str) -> datetime | None:
        """Return `_minute` of an RFC 3339 time, which is parsed once."""
        if len(self._minutes) >= CACHED_MINUTES:
            self._minutes.clear()
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise MalformedData(f"{text} has no time zone")
        self._minutes[text] = minute = self._minute(time)
        return minute

    def _beyond(self, time: datetime) -> bool:
        end = self._calendar.end
        return end is None or time > end + timedelta(days=1)

    def _minute(self, time: datetime) -> datetime | None:
        """Return the minute's start, UTC, or None where no regular session is open."""
        if time.second or time.microsecond:
            raise MalformedData(f"a bar that begins at {time.isoformat()}, not at a minute")
        return time.astimezone(UTC) if self._calendar.session_at(time) else None
