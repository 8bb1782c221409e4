"""Imported bars as columns: read as they were written, and imported again where the file is damaged."""

from __future__ import annotations

import random
import struct
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from smabot.domain.records import Bar
from smabot_exchange.data.bar_columns import BarColumns, ColumnsWriter
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.exchange import Exchange
from smabot_exchange.ledger.imported_columns import imported_columns
from smabot_exchange.ledger.memory_ledger import LedgerImage
from smabot_exchange.matching.account import RequestedTerms

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def random_bars(seed: int) -> list[Bar]:
    """Bars of three symbols with gaps, by time and symbol; some lack a trade count or a vwap."""
    chance, found = random.Random(seed), []
    for minute in range(60):
        for symbol in ("AAA", "BBB", "CCC"):
            if chance.random() < 0.7:
                o, c = (round(chance.uniform(9, 11), 2) for _ in range(2))
                count = chance.choice([None, 7])
                vwap = chance.choice([None, o])
                time = OPEN + timedelta(minutes=minute)
                found.append(Bar(symbol, time, o, max(o, c), min(o, c), c, 100.0, count, vwap))
    return found


def columns_of(bars: list[Bar]) -> BarColumns:
    stream = BytesIO()
    writer = ColumnsWriter(stream)
    writer.add((int(bar.time.timestamp()), bar.symbol, *bar[2:]) for bar in bars)
    writer.finish({int(bar.time.timestamp()) for bar in bars}, {"about": "a test"})
    return BarColumns(stream.getvalue())


@pytest.mark.parametrize("seed", range(5))
def test_bars_are_read_as_they_were_written(seed: int) -> None:
    bars = random_bars(seed)
    by_symbol = sorted(bars, key=lambda bar: (bar.symbol, bar.time))
    for given in (bars, by_symbol):
        columns = columns_of(given)
        found, stamp = [], 0
        while minutes := columns.minutes_from(stamp):
            found += [bar for _, of_minute in minutes for bar in of_minute]
            stamp = int(minutes[-1][0].timestamp()) + 60
        assert found == bars
        for minute in range(0, 61, 7):
            time = OPEN + timedelta(minutes=minute)
            earlier = [bar for bar in bars if bar.symbol == "BBB" and bar.time < time]
            expected = earlier[-1] if earlier else None
            assert columns.bar_before("BBB", int(time.timestamp())) == expected
        wanted = [OPEN + timedelta(minutes=minute) for minute in (3, 17, 59)]
        at = columns.bars_at([int(each.timestamp()) for each in wanted], ["CCC", "AAA", "ZZZ"])
        assert at == [bar for bar in bars if bar.time in wanted and bar.symbol != "BBB"]


def test_a_damaged_cache_is_imported_again(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tape = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11, 12, 13, 14]))
    whole = imported_columns(DataFiles(tape)).minutes_from(0)
    (kept,) = (tmp_path / "cache").rglob("*.columns")
    good = kept.read_bytes()
    other = b"null" + struct.pack("<qI8s", 0, crc32(b"null"), good[-8:])
    for damaged in (
        good[:100], b"", bytes(32) + good[32:], good[:-40] + bytes(40), good[::-1], other,
    ):  # fmt: skip
        kept.write_bytes(damaged)
        assert imported_columns(DataFiles(tape)).minutes_from(0) == whole
        assert kept.read_bytes() == good


def test_two_names_of_one_file_are_two_symbols(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = tmp_path / "x" / "SPY.csv", tmp_path / "y" / "QQQ.csv"
    for path in (first, second):
        path.parent.mkdir()
    first.write_text("timestamp,open,high,low,close,volume\n2026-03-02T14:30:00Z,1,1,1,1,5\n")
    second.hardlink_to(first)
    assert imported_columns(DataFiles(first)).symbols == ("SPY",)
    assert imported_columns(DataFiles(second)).symbols == ("QQQ",)


def test_without_a_place_for_a_cache_bars_are_imported_in_memory(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tape = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11, 12]))
    assert len(imported_columns(DataFiles(tape)).minutes_from(0)) == 3


def test_minutes_of_a_halt_do_not_count_as_newest(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tape = lab.tape(lab.rows("SPY", "2026-03-02 09:30", range(10, 20)))
    in_memory = Exchange.in_memory(LedgerImage(DataFiles(tape), RequestedTerms()))
    on_file = Exchange(tmp_path / "ledger.db", str(tape))
    found = []
    for exchange in (in_memory, on_file):
        for minute in range(8):
            if minute == 4:
                exchange.halts.halt("SPY", exchange.now + timedelta(minutes=3))
            exchange.advance()
        found.append([bar.time for bars in exchange.history(bars=4) for bar in bars])
        exchange.close()
    assert len(found[0]) == 4
    assert found[0] == found[1]
