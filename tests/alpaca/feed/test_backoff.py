"""Pauses grow, never above the ceiling, and are drawn from nought on."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from smabot_alpaca.backoff import Backoff


def test_pauses_double_up_to_the_ceiling() -> None:
    backoff = Backoff(1, 30, draw=lambda: 1.0)
    assert [backoff.pause() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.pause() == 1


@given(st.integers(0, 2**32), st.floats(0.01, 5), st.integers(1, 2000))
def test_jitter_is_full(seed: int, first: float, attempts: int) -> None:
    backoff = Backoff(first, 30, random.Random(seed).random)
    pauses = [backoff.pause() for _ in range(attempts)]
    assert all(0 <= pause < min(first * 2 ** min(n, 60), 30) for n, pause in enumerate(pauses))
