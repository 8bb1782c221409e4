"""The page of promises names what the code has: a renamed one is noticed here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smabot import errors, old_names
from smabot.domain.book import Book
from smabot.domain.bot_records import Block
from smabot.domain.order_terms import RefusalCause, Status
from smabot.domain.records import Signal
from smabot.engine.execution.order_making import LONGEST_ID, order_id
from smabot.system.deprecation import OldName

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "stable.md").read_text()
PAST = re.compile(
    r"^### (Added|Changed|Changed hooks|Changed tables|Deprecated|Removed|Fixed|Security)$"
)


def promised(what: str) -> str:
    (text,) = re.findall(rf"^\| {re.escape(what)} \| (.*) \|$", PAGE, re.M)
    return text


def words(what: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", promised(what)))


def test_the_words_in_the_database_are_those_promised() -> None:
    assert words("`order_intents.status`") == {status.value for status in Status}
    assert words("`order_intents.cause`") == {cause.value for cause in RefusalCause} - {""}


def test_the_scopes_of_blocks_are_those_promised() -> None:
    book = Book()
    scopes = words("`blocks.scope`")
    for scope in (*scopes, "another"):
        book.apply(Block("mine", scope, "why", book.now))
    assert {block.scope for block in book.blocking()} == scopes == {"entries", "all"}


def test_the_kinds_of_conflicts_are_those_promised() -> None:
    promised_kinds = words("kinds of conflicts")
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text[text.index("## Exit code 6") :].partition("\n## ")[0]
    assert promised_kinds == set(re.findall(r"^\| `(\w+)` \|", section, re.M))
    sources = "".join(
        path.read_text() for top in ("core", "plugins") for path in (ROOT / top).rglob("*.py")
    )
    assert {kind for kind in promised_kinds if f'"{kind}"' not in sources} == set()


def test_the_exit_codes_are_those_promised() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.SmabotError)} | {0, 130}
    assert set(map(int, re.findall(r"\b\d+\b", promised("exit codes").partition("[")[0]))) == codes


def test_an_orders_id_has_the_form_promised() -> None:
    minute = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
    made = order_id("smabot", Signal("SPY", 1, minute, 500.0, strategy="sma"), 1)
    assert f"`{made}`" in promised("an order's id")
    assert f"at most {LONGEST_ID} characters" in promised("an order's id")


def test_the_deprecation_shown_is_the_one_that_comes() -> None:
    said = OldName("plugin 'mine'", "smabot.records", old_names.remedy("domain.records"))
    assert f"smabot: warning: {said}\n" in PAGE


@pytest.mark.parametrize("heading", ["Changed hooks", "Changed tables", "Deprecated"])
def test_the_changelog_has_the_headings_promised(heading: str) -> None:
    assert f'"{heading}"' in PAGE
    titles = re.findall(r"^### .*$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert f"### {heading}" in titles
    assert [title for title in titles if not PAST.match(title)] == []
