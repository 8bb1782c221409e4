"""`smabot verify --data`: the checks also play spans of the author's own bars, the same ones each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from smabot.cli import main
from smabot.domain.calendar import MINUTE
from smabot.settings.model import Config
from smabot.testing import sessions
from smabot.testing.sample_records import OPEN
from smabot.testing.verifying.own_bars import OwnBars

pytestmark = pytest.mark.plugins


def walk(minutes: int, start: float = 1500.0) -> list[float]:
    chance = Random(3)
    return [round(start + 20 * chance.random(), 2) for _ in range(minutes)]


def write_csv(path: Path, minutes: Callable[[int], bool], days: int = 3) -> None:
    """Write a symbol's bars, where ``minutes`` says that the so many-th one has a bar."""
    opens = [each.open + n * MINUTE for each in sessions(days) for n in range(390)]
    lines = [
        f"{time:%Y-%m-%dT%H:%M:%SZ},1500,1520,1490,{1500 + n % 19},1000"
        for n, time in enumerate(opens)
        if minutes(n)
    ]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines, ""]))


@pytest.fixture
def verify(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def verify(*arguments: str) -> tuple[int, str, str]:
        code = main(["verify", *arguments])
        return (code, *capsys.readouterr())

    return verify


@pytest.mark.parametrize(
    ("breaks", "check", "said"),
    [
        ("state", "window-pure", r"otherwise on KO 2026-03-0\d \d\d:\d\d ET: (long|flat|no signal)"),
        ("state", "restart-safe", r"KO, 2026-03-0\d \d\d:\d\d ET"),
        ("lookahead", "no-lookahead", r"earlier bar, KO 2026-03-0\d \d\d:\d\d ET: (long|flat)"),
        ("hash", "deterministic", r"KO, 2026-03-0\d \d\d:\d\d ET"),
    ],
)  # fmt: skip
def test_what_fails_on_the_authors_bars_alone_is_found_and_replayed(
    verify: Callable[..., Any], unsafe: Callable[[str], str], tape_writer: Any, in_tmp: Path,
    breaks: str, check: str, said: str,
) -> None:  # fmt: skip
    tape_writer(in_tmp / "own.csv", {"KO": walk(300), "PEP": walk(300)})
    setting = f"bad_above.breaks={breaks}"
    given = (unsafe("bad_above"), "--set", setting, "--check", check)
    code, _, err = verify(*given)
    assert (code, err) == (0, ""), "it keeps its promises on generated bars"
    code, out, _ = verify(*given, "--data", "own.csv", "--symbols", "KO")
    shown = " ".join(out.split())
    assert code == 1
    assert re.search(said, shown), out
    assert re.search(r"market 'data-\d'", shown), out
    (replay,) = re.findall(r"replay: smabot verify (.*)", out)
    assert "--data own.csv --symbols KO" in replay
    assert "--case data-" in replay
    code, again, _ = verify(*replay.split())
    assert code == 1
    assert re.findall(said, " ".join(again.split()))


def test_spans_are_the_same_each_time_and_one_has_the_gap(in_tmp: Path) -> None:
    gap = range(610, 650)
    write_csv(in_tmp / "own.csv", lambda minute: minute not in gap)
    spans = OwnBars.read("own.csv", Config()).spans(lookback=10)
    assert spans == OwnBars.read("own.csv", Config()).spans(lookback=10)
    assert [span.name for span in spans] == ["data-1", "data-2", "data-3"]
    assert {len(span.minutes) for span in spans} == {90}
    longest = [
        max(later - one for one, later in zip(span.minutes, span.minutes[1:], strict=False))
        for span in spans
    ]
    assert timedelta(minutes=41) in longest


def test_data_of_few_minutes_are_one_span(in_tmp: Path) -> None:
    write_csv(in_tmp / "own.csv", lambda minute: minute < 30)
    (span,) = OwnBars.read("own.csv", Config()).spans(lookback=10)
    assert (span.name, len(span.minutes), span.minutes[0]) == ("data-1", 30, OPEN)


def test_too_few_bars_are_one_clear_line(
    verify: Callable[..., Any], unsafe: Callable[[str], str], in_tmp: Path
) -> None:
    write_csv(in_tmp / "own.csv", lambda minute: minute < 10)
    code, out, err = verify(unsafe("small_lookback"), "--data", "own.csv")
    assert (code, out) == (3, "")
    assert err == (
        "smabot: --data own.csv: has bars of 10 minutes, too few for small_lookback: its lookback of 5 "
        "needs 11 or more\n"
    )


def test_unknown_symbols_and_missing_files_are_one_line(
    verify: Callable[..., Any], unsafe: Callable[[str], str], in_tmp: Path
) -> None:
    write_csv(in_tmp / "KO.csv", lambda minute: minute < 100)
    code, _, err = verify(unsafe("bad_above"), "--data", "KO.csv", "--symbols", "PEP")
    assert (code, len(err.splitlines())) == (3, 1)
    assert "PEP" in err
    code, _, err = verify(unsafe("bad_above"), "--data", "none.csv")
    assert (code, len(err.splitlines())) == (3, 1)
    code, _, err = verify(unsafe("bad_above"), "--symbols", "PEP", "--set", "symbols=KO")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "--symbols" in err


def test_more_symbols_than_a_generated_market_has_may_be_named(
    verify: Callable[..., Any], unsafe: Callable[[str], str]
) -> None:
    code, out, _ = verify(
        unsafe("bad_above"), "--symbols", "KO,PEP,XOM,CVX", "--check", "signals"
    )  # fmt: skip
    assert code == 0, out
