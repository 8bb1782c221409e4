"""Each check of a strategy fails one that breaks its promise, and says what to do."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.settings.model import Config
from smabot.testing import bars
from smabot.testing.verifying.generated_markets import Market
from smabot.testing.verifying.subject import subjects
from smabot.testing.verifying.verification import verify

Found = Callable[..., Any]


@pytest.mark.parametrize(
    ("name", "check", "remedy"),
    [
        ("attribute_state", "restart-safe", "keep state in declared records"),
        ("attribute_state", "window-pure", "keep state in declared records"),
        ("running_sum", "window-pure", "a sum, count or average without end"),
        ("running_sum", "restart-safe", "a sum, count or average without end"),
        ("small_lookback", "window-pure", "lookback() returns 5: return 1"),
        ("small_lookback", "restart-safe", "lookback() returns 5: return 1"),
        ("pairs_with_gaps", "window-pure", "more where one of them has gaps"),
        ("pairs_with_gaps", "restart-safe", "more where one of them has gaps"),
        ("wall_clock", "pure-hooks", "use bar.time or book.now"),
        ("looks_ahead", "no-lookahead", "decide from the bar and older ones"),
        (
            "no_lookback",
            "window-pure",
            "it has no lookback(), so that a restart shows it 2 bars at most: add",
        ),
        ("no_lookback", "restart-safe", "add the hook, and return 1"),
        ("attribute_state", "restart-safe", "Or add the hook lookback()"),
        ("repaints", "no-lookahead", "of a bar of the minute"),
        ("repaints", "window-pure", "it signals for the one of 2026-03-02 14:30 UTC"),
        ("module_state", "no-globals", "in a declared record"),
        ("hash_order", "deterministic", "sort first"),
    ],
)
def test_it_fails_and_says_what_to_do(found: Found, name: str, check: str, remedy: str) -> None:
    gaps = {"case": "gaps"} if name == "pairs_with_gaps" else None
    verdict = found(name, check, gaps)
    assert verdict.outcome.result == "FAILED", verdict.outcome
    assert remedy in verdict.remedy
    assert f"--check {check}" in verdict.replay


def test_a_slow_hook_is_named_with_its_time(found: Found) -> None:
    few = Market("few", tuple(bars("SPY", [10, 11, 12, 11])))
    verdict = found("slow", "quick", {"own_bars": (few,), "case": "few"})
    assert re.match(
        r"on_bar \d+\.\d\d ms at half of its calls, at most \d+ ms", verdict.outcome.said
    )
    assert "do less at each call" in verdict.remedy


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        ("monotonic", "reads the clock with monotonic()"),
        ("early_bound", "reads the clock with time_ns()"),
        ("chance", "uses chance"),
        ("shuffled", "uses chance"),
        ("identity", "uses chance with urandom()"),
        ("bytes_of_chance", "uses chance with urandom()"),
        ("file", "opens a file"),
        ("network", "opens a socket"),
        ("program", "starts a program"),
        ("thread", "starts a thread"),
    ],
)
def test_an_impure_hook_is_named_by_its_line(
    found: Found, unsafe: Callable[[str], str], uses: str, said: str
) -> None:
    verdict = found("impure", "pure-hooks", uses=uses)
    lines = Path(unsafe("impure")).read_text().splitlines()
    within = lines.index(f"    def {uses}(self) -> None:") + 2
    assert f"on_bar {said}" in verdict.outcome.said
    assert f"impure.py:{within})" in verdict.outcome.said


@pytest.mark.plugins
def test_chance_of_numpy_is_seen(found: Found) -> None:
    pytest.importorskip("numpy")
    assert (
        "on_bar uses numpy.random"
        in found("impure", "pure-hooks", uses="numpy_chance").outcome.said
    )


@pytest.mark.plugins
def test_the_clock_of_pandas_is_seen(found: Found) -> None:
    pandas = pytest.importorskip("pandas")
    said = found("impure", "pure-hooks", uses="pandas_clock").outcome.said
    assert "on_bar reads the clock with now() (" in said
    assert pandas.Timestamp.now("UTC").tzinfo is not None


def test_a_strategy_that_raises_is_told_once(unsafe: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "raises.py").write_text(
        "from smabot.api import hookimpl\n\n\nclass Raises:\n    @hookimpl\n"
        "    def on_bar(self, bar):\n        raise ValueError('no')\n"
    )
    (subject,) = subjects([str(tmp_path / "raises.py")], Config())
    (verdict,) = verify(subject)
    assert "plugin 'raises' raised in on_bar: ValueError: no" in verdict.outcome.said
    assert "raises.py:7" in verdict.outcome.said


@pytest.mark.parametrize("uses", ["", "seeded", "formatted"])
def test_what_is_the_same_each_time_is_allowed_and_so_is_logging(found: Found, uses: str) -> None:
    assert found("impure", "pure-hooks", uses=uses).proved


def test_what_a_collection_calls_back_is_not_the_hook_s_doing(found: Found) -> None:
    """As hypothesis, which times each collection of garbage."""
    before = gc.get_threshold()
    gc.callbacks.append(lambda phase, info: time.perf_counter())
    gc.set_threshold(1)
    try:
        assert found("impure", "pure-hooks", uses="seeded").proved
    finally:
        gc.set_threshold(*before)
        gc.callbacks.pop()


def test_one_that_never_signals_has_proved_nothing(found: Found) -> None:
    verdict = found("never_signals", "signals")
    assert verdict.outcome.result == "UNPROVED"
    assert verdict.outcome.said.startswith("never signalled: ")
    assert verdict.outcome.said.endswith(" bars; nothing proved")
    assert "--data PATH" in verdict.remedy


def test_a_longer_lookback_than_it_needs_is_no_fault(found: Found) -> None:
    assert found("wall_clock", "window-pure", {"case": "gaps"}).proved


def test_a_case_is_replayed_alone(found: Found) -> None:
    failed = found("attribute_state", "restart-safe")
    again = found("attribute_state", "restart-safe", {"case": failed.outcome.case})
    assert again.outcome.cases == 1
    assert again.outcome.said.partition(": table")[2] == failed.outcome.said.partition(": table")[2]


STREAKY = """
from enum import StrEnum
from smabot.api import Bar, Book, Signal, hookimpl, record

class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"

@record(table="streaky_rows", key=("symbol",))
class Row:
    symbol: str
    count: int
    mood: Mood

class Streaky:
    @hookimpl
    def records(self):
        return [Row]

    @hookimpl
    def on_bar(self, bar: Bar, book: Book):
        row = book.row(Row, bar.symbol)
        count = (row.count if row else 0) + 1 if bar.close > bar.open else 0
        mood = Mood.GOOD if {result} else Mood.BAD
        book.apply(Row(bar.symbol, count, mood))
        return Signal.long(bar) if count > 1 else Signal.flat(bar)
"""


@pytest.mark.parametrize(
    ("result", "said"), [("count > 1", ""), ("hash(bar.symbol) % 2", "mood is")]
)
def test_a_files_own_records_are_compared_under_other_hash_seeds(
    tmp_path: Path, result: str, said: str
) -> None:
    (tmp_path / "streaky.py").write_text(STREAKY.replace("{result}", result))
    (subject,) = subjects([str(tmp_path / "streaky.py")], Config())
    (verdict,) = verify(subject, ["deterministic"])
    assert verdict.proved is (not said), verdict.outcome
    assert said in verdict.outcome.said
