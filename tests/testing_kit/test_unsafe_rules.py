"""Each check of a risk rule fails one that breaks its promise, and passes one that keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Found = Callable[..., Any]
CHECKS = ("blocks", "exits-pass", "holds", "asked-again", "fails-closed")


@pytest.mark.parametrize("check", [*CHECKS, "restart-safe"])
def test_a_rule_that_keeps_its_promises_passes(found: Found, check: str) -> None:
    verdict = found("unsafe_rule", check, {"case": "fall"})
    assert verdict.proved, verdict.outcome
    assert verdict.outcome.cases > 10


@pytest.mark.parametrize(
    ("breaks", "check", "said"),
    [
        ("blocks", "blocks", "never blocked: asked about"),
        ("exits-pass", "exits-pass", "it blocks an exit: lost more than 200"),
        ("scope", "exits-pass", "it blocks an exit: lost more than 200"),
        ("holds", "holds", "it blocks an entry (lost more than 200), and a restart lets it pass"),
        ("asked-again", "asked-again", "when before_submit would block it: lost more than 200"),
        ("fails-closed", "fails-closed", "lets an entry pass where reading book.row fails"),
    ],
)
def test_one_that_breaks_one_fails(found: Found, breaks: str, check: str, said: str) -> None:
    verdict = found("unsafe_rule", check, {"case": "fall"}, breaks=breaks)
    assert not verdict.proved
    assert said in verdict.outcome.said
