"""Each check of a journal, a broker and a feed fails one that breaks its promise, and passes one that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Found = Callable[..., Any]
OF_JOURNALS = (
    "loads-as-kept", "idempotent", "atomic", "durable", "read-beside", "one-writer", "commands",
)  # fmt: skip
OF_VENUES = (
    "typed-answers", "sends-once", "refusals", "any-order", "clock", "whole-minutes", "history",
    "symbols",
)  # fmt: skip


@pytest.mark.plugins
@pytest.mark.parametrize("check", OF_JOURNALS)
def test_a_journal_that_breaks_a_promise_fails(found: Found, check: str) -> None:
    verdict = found("unsafe_journal", check, breaks=check)
    assert verdict.outcome.result == "FAILED", verdict.outcome
    assert verdict.remedy


@pytest.mark.plugins
def test_a_commit_is_missed_that_returned_before_the_kill_came(found: Found) -> None:
    """The process commits on while the kill is under way: the last two are lost, not those it was killed for."""
    verdict = found("unsafe_journal", "durable", breaks="the newest commits")
    assert verdict.outcome.result == "FAILED", verdict.outcome
    assert "is lost" in verdict.outcome.said


@pytest.mark.plugins
def test_a_journal_that_keeps_all_its_commits_is_durable(found: Found) -> None:
    assert found("unsafe_journal", "durable").proved


@pytest.mark.parametrize("check", OF_VENUES)
def test_a_venue_that_keeps_its_promises_passes(found: Found, check: str) -> None:
    verdict = found("unsafe_venue", check)
    assert verdict.proved, verdict.outcome
    assert verdict.outcome.cases > 1


@pytest.mark.parametrize(
    ("breaks", "check", "said"),
    [
        ("typed", "typed-answers", "account().cash is no Decimal"),
        ("twice", "sends-once", "no OrderUpdate of that order"),
        ("no conflict", "sends-once", "raises no ConflictError"),
        ("raises refusals", "refusals", "ValueError"),
        ("last price", "any-order", "updates in the order"),
        ("local", "clock", "which is no time in UTC"),
        ("steps back", "clock", "a batch of"),
        ("unsorted", "whole-minutes", "not sorted"),
        ("doubled", "whole-minutes", "delivers a bar twice"),
        ("forgets", "history", "lacks the bar of AAA"),
        ("other", "history", "with other values"),
        ("takes all", "symbols", "takes NOSUCHSYMBOL"),
    ],
)
def test_a_venue_that_breaks_one_fails(found: Found, breaks: str, check: str, said: str) -> None:
    verdict = found("unsafe_venue", check, breaks=breaks)
    assert verdict.outcome.result == "FAILED", verdict.outcome
    assert said in verdict.outcome.said


def test_no_order_is_sent_unless_that_is_allowed(found: Found) -> None:
    verdict = found("unsafe_venue", "sends-once", {"may_send": False})
    assert verdict.outcome.result == "UNPROVED"
    assert "--send-orders" in verdict.outcome.said
