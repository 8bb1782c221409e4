"""`smabot backtest` with ranges: each choice once, ranked where it was chosen, and tried where it was held out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.backtest_ranges import choices_of
from smabot.errors import UsageError

pytestmark = pytest.mark.plugins
SIX = "simulated:shape=waves,symbols=1,sessions=6,seed=5,start=2026-03-02"
RANGES = ("--set", "sma.fast=10:30:10", "--set", "sma.slow=20:40:20")


def test_a_choice_has_each_value_with_each_other_one() -> None:
    assert choices_of([]) == [()]
    assert choices_of(["sizing.method=shares"]) == [("sizing.method=shares",)]
    assert choices_of(["a=1:2:1", "b=0.1:0.3:0.1"]) == [
        ("a=1", "b=0.1"), ("a=1", "b=0.2"), ("a=1", "b=0.3"),
        ("a=2", "b=0.1"), ("a=2", "b=0.2"), ("a=2", "b=0.3"),
    ]  # fmt: skip
    assert choices_of(["a=1:4:2"]) == [("a=1",), ("a=3",)]


@pytest.mark.parametrize(
    "text",
    ["5:1:1", "1:5:0", "1:5:-1", "1:x:1", "1:nan:1", "5:10", "5:", "1:2:3:4", "5-25", "5..25"],
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=f"--set a={text}: write a range as START:STOP:STEP, as a=5:30:5"
    ):
        choices_of([f"a={text}"])


def test_a_text_with_colons_is_no_range() -> None:
    words = ('a="09:30"', "b=x:1:2", "since=2026-03-02", "c=-5")
    assert choices_of(words) == [words]


@pytest.mark.parametrize("stop", ["1e9", "inf"])
def test_too_many_values_are_refused(stop: str) -> None:
    with pytest.raises(UsageError, match="more than 10,000 values"):
        choices_of([f"a=1:{stop}:1"])


@pytest.mark.slow
def test_choices_are_ranked_and_held_out(call: Callable[..., Any]) -> None:
    result = call("--json", "backtest", "--data", SIX, *RANGES, "--jobs", "2").json
    assert result["chosen_until"] == "2026-03-05"  # the fourth of six sessions
    settings = {tuple(each["settings"]) for each in result["choices"]}
    assert settings == {
        ("sma.fast=10", "sma.slow=20"), ("sma.fast=10", "sma.slow=40"),
        ("sma.fast=20", "sma.slow=40"), ("sma.fast=30", "sma.slow=40"),
    }  # fmt: skip
    sharpes = [each["chosen"]["sharpe"] for each in result["choices"]]
    assert sharpes == sorted(sharpes, reverse=True)
    assert "2 choices left out" in " ".join(result["notes"])
    assert any(note.startswith("fills cost nothing") for note in result["notes"])
    best = result["choices"][0]
    words = [word for each in best["settings"] for word in ("--set", each)]
    for part, days in (("chosen", ("--to", "2026-03-05")), ("held_out", ("--from", "2026-03-06"))):
        alone = call("--json", "backtest", "--data", SIX, *words, *days).json
        assert {name: alone[name] for name in best[part]} == best[part]


@pytest.mark.slow
def test_too_little_to_hold_out_is_said(call: Callable[..., Any]) -> None:
    result = call("backtest", "--data", "simulated:symbols=1,sessions=2", *RANGES)
    assert (result.code, result.out) == (3, "")
    assert "2 sessions: ranges need at least 3" in result.err


@pytest.mark.parametrize(
    "words", [("--db", "there.db", "backtest"), ("backtest", "--html", "r.html")]
)
def test_ranges_keep_no_single_backtest(call: Callable[..., Any], words: tuple[str, ...]) -> None:
    Path("there.db").touch()
    result = call(*words, *RANGES)
    assert (result.code, result.out) == (2, "")
    assert "not with ranges of settings; leave it out, or give one value" in result.err
