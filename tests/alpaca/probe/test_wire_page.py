"""docs/wire.md and the code have the same assumptions, and what is tried of them is told truly."""

from __future__ import annotations

import re
from pathlib import Path

from smabot_alpaca.probe.catalogue import ASSUMPTIONS, NEVER_TRIED, TRIED

PAGE = (Path(__file__).parents[3] / "docs/wire.md").read_text()


def told() -> list[tuple[int, str, str, str, str]]:
    """Number, section, assumption, expectation and last cell of each row of the page."""
    rows = []
    for part in PAGE.split("\n### ")[1:]:
        section, _, text = part.partition("\n")
        found = re.findall(r"^\| (\d+) \| (.+?) \| `(.+?)` \| (.+?) \|$", text, re.M)
        rows += [(int(number), section, *cells) for number, *cells in found]
    return rows  # type: ignore[return-value]


def test_the_page_has_the_assumptions_of_the_code() -> None:
    assert told() == [
        (each.number, each.section, each.text, each.expected, each.why_untried or each.market or "any")
        for each in ASSUMPTIONS
    ]  # fmt: skip


def test_they_are_numbered_without_gaps_and_some_are_never_tried() -> None:
    assert [each.number for each in ASSUMPTIONS] == list(range(1, len(ASSUMPTIONS) + 1))
    assert len(TRIED) >= 30
    assert all(each.procedure is not None and not each.why_untried for each in TRIED)
    assert all(each.procedure is None and each.why_untried for each in NEVER_TRIED)


def test_the_page_says_that_none_was_tried_at_alpaca() -> None:
    assert "**None of them has been tried at Alpaca" in PAGE
