"""`smabot verify` of a long lookback: markets are long enough, the work is bounded, and its progress is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.settings.model import Config
from smabot.testing.verifying.subject import subjects
from smabot.testing.verifying.verification import effort_of, verify

Found = Callable[..., Any]


@pytest.mark.parametrize("bars", [30, 390, 2000])
def test_a_market_is_long_enough_for_the_lookback_to_decide(found: Found, bars: int) -> None:
    assert found("long_lookback", "signals", bars=bars).proved


def test_a_lookback_that_no_market_is_long_enough_for_is_named(found: Found) -> None:
    verdict = found("long_lookback", "signals", bars=20_000)
    assert verdict.outcome.result == "UNPROVED"
    assert "lookback() returns 20,000" in verdict.outcome.said
    assert "10,000 minutes" in verdict.outcome.said


@pytest.mark.slow(seconds=40)
@pytest.mark.parametrize("check", ["window-pure", "restart-safe"])
def test_a_longer_lookback_gets_fewer_cases(found: Found, check: str) -> None:
    short, long_ = (found("long_lookback", check, bars=bars) for bars in (30, 2000))
    assert short.proved
    assert long_.proved
    assert 3 * 8 <= long_.outcome.cases < short.outcome.cases


def test_the_progress_of_all_checks_is_told(unsafe: Callable[[str], str], tmp_path: Path) -> None:
    (subject,) = subjects([unsafe("long_lookback")], Config(plugin={"long_lookback": {"bars": 10}}))
    told: list[tuple[float, str]] = []
    verdicts = list(verify(subject, tell=lambda done, text: told.append((done, text))))
    done = [each for each, _ in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == pytest.approx(effort_of(subject))
    texts = list(dict.fromkeys(text for _, text in told))
    assert texts[:2] == ["long_lookback: signals, 1 of 8", "long_lookback: window-pure, 2 of 8"]
    assert len(texts) == len(verdicts)
    for check in ("window-pure", "restart-safe"):
        assert len([text for _, text in told if re.search(check, text)]) > 20
