"""Commands by fixed clocks: their order, which of them replace others, and which expire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Command, Event
from smabot.engine.operator_commands import STANDS, carry_out, expiry
from smabot.errors import PluginError
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl

GIVEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""Wall time."""
FEED = datetime(2020, 1, 1, tzinfo=UTC)
"""The feed's time, which expiry has nothing to do with."""
SECOND = timedelta(seconds=1)


class Streaks:
    """A plugin with two commands of its own, one of which always fails."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    @hookimpl
    def on_command(self, command: Command) -> str | None:
        if command.verb == "streaks fail":
            raise KeyError("no streak")
        self.told.append((command.verb, command.argument))
        return "streaks are reset"


@pytest.fixture
def book() -> Book:
    book = Book()
    book.now = FEED
    return book


@pytest.fixture
def streaks() -> Streaks:
    return Streaks()


@pytest.fixture
def plugins(streaks: Streaks) -> Plugins:
    plugins = Plugins()
    plugins.register("streaks", streaks)
    return plugins


def given(*texts: str) -> list[Command]:
    """Commands a second apart, the first at GIVEN; `flatten:SPY` has an argument."""
    commands = []
    for number, text in enumerate(texts):
        verb, _, argument = text.partition(":")
        at = GIVEN + number * SECOND
        commands.append(Command(str(number), verb, argument, at, expires_at=expiry(verb, at)))
    return commands


def answers(
    commands: Sequence[Command], plugins: Plugins, book: Book, now: datetime = GIVEN + 10 * SECOND
) -> list[str]:
    carried = carry_out(commands, plugins, book, lambda: now)
    rows = {row.id: row for row in book.drain()[0] if isinstance(row, Command)}
    assert {row.applied_at for row in rows.values()} == {FEED}
    assert {name: row.answer for name, row in rows.items()} == carried.answers
    return [carried.answers[command.id] for command in commands]


def events(book: Book) -> list[Event]:
    return [row for row in book.drain()[0] if isinstance(row, Event)]


def test_the_clock_is_not_asked_without_commands(plugins: Plugins, book: Book) -> None:
    def clock() -> datetime:
        raise AssertionError

    assert carry_out([], plugins, book, clock).answers == {}


@pytest.mark.parametrize(
    ("texts", "halted"),
    [
        (("resume", "halt:news"), "news"),
        (("halt:news", "resume"), ""),
        (("halt:a", "resume", "halt:b"), "b"),
        (("flatten", "resume"), ""),
        (("resume", "flatten"), "flattened by hand"),
        (("resume", "flatten:SPY"), ""),
    ],
)
def test_the_last_word_counts(
    plugins: Plugins, book: Book, texts: tuple[str, ...], halted: str
) -> None:
    answers(given("halt:before"), plugins, book)
    answers(given(*texts), plugins, book)
    assert book.halted == halted


def test_a_newer_one_of_its_kind_takes_its_place(
    plugins: Plugins, book: Book, streaks: Streaks
) -> None:
    texts = ("resume", "flatten:SPY", "streaks reset:a", "flatten:IBM", "flatten:SPY",
             "streaks reset:b", "streaks reset:a", "halt:news")  # fmt: skip
    said = answers(given(*texts), plugins, book)
    assert said[0] == "not carried out: a newer 'halt news' took its place"
    assert said[1] == "not carried out: a newer 'flatten SPY' took its place"
    assert said[2] == "not carried out: a newer 'streaks reset a' took its place"
    assert not [text for text in said[3:] if "not carried out" in text]
    assert streaks.told == [("streaks reset", "b"), ("streaks reset", "a")]


def test_an_expired_one_takes_nobodys_place(plugins: Plugins, book: Book) -> None:
    halt, resume = given("halt:news", "resume")
    said = answers([halt, resume], plugins, book, GIVEN + 2 * STANDS)
    assert said[0].startswith("halted")
    assert said[1] == "expired at 2026-03-02 14:31:01 UTC: not carried out"
    assert book.halted == "news"


@pytest.mark.parametrize("text", ["resume", "flatten:SPY", "breaker reset", "streaks reset"])
def test_what_waited_a_minute_is_not_carried_out(
    plugins: Plugins, book: Book, streaks: Streaks, text: str
) -> None:
    answers(given("halt:before"), plugins, book)
    (command,) = given(text)
    assert command.expires_at == GIVEN + timedelta(minutes=1)
    carried = carry_out([command], plugins, book, lambda: GIVEN + STANDS)
    assert carried.answers == {"0": "expired at 2026-03-02 14:31:00 UTC: not carried out"}
    assert not carried.flattened
    (event,) = events(book)
    assert (event.time, event.kind, event.subject, event.grave) == (FEED, "command_expired", "0", True)  # fmt: skip
    assert event.text.startswith(f"'{text.replace(':', ' ')}' of 2026-03-02 14:30:00 UTC expired")
    assert book.halted == "before"
    assert streaks.told == []


def test_until_then_it_stands(plugins: Plugins, book: Book, streaks: Streaks) -> None:
    answers(given("streaks reset"), plugins, book, GIVEN + STANDS - timedelta(microseconds=1))
    assert streaks.told == [("streaks reset", "")]


def test_a_halt_never_expires(plugins: Plugins, book: Book) -> None:
    (command,) = given("halt:news")
    assert command.expires_at is None
    answers([command], plugins, book, GIVEN + timedelta(days=400))
    assert book.halted == "news"
    book.drain()
    dated = replace(command, id="1", argument="later", expires_at=GIVEN)
    answers([dated], plugins, book, GIVEN + timedelta(days=400))
    assert book.halted == "later"


def test_an_expired_flatten_of_everything_still_halts(plugins: Plugins, book: Book) -> None:
    carried = carry_out(given("flatten"), plugins, book, lambda: GIVEN + STANDS)
    assert carried.answers["0"] == (
        "expired at 2026-03-02 14:31:00 UTC: not carried out; new entries are halted nevertheless: "
        "`smabot resume` allows them again"
    )
    assert not carried.flattened
    assert book.halted == "a flatten expired before it was carried out"
    assert [event.kind for event in events(book)] == ["halt", "command_expired"]


def test_an_expired_flatten_leaves_an_earlier_halts_reason(plugins: Plugins, book: Book) -> None:
    answers(given("halt:news"), plugins, book)
    answers(given("flatten"), plugins, book, GIVEN + STANDS)
    assert book.halted == "news"


def test_two_that_expire_at_once_are_two_events(plugins: Plugins, book: Book) -> None:
    carry_out(given("resume", "resume"), plugins, book, lambda: GIVEN + 2 * STANDS)
    assert len(events(book)) == 2


@pytest.mark.parametrize(("text", "subject"), [("flatten", ""), ("flatten:SPY", "SPY")])
def test_a_flatten_is_an_event(plugins: Plugins, book: Book, text: str, subject: str) -> None:
    carried = carry_out(given(text), plugins, book, lambda: GIVEN)
    assert carried.flattened
    found = [event for event in events(book) if event.kind == "flatten"]
    assert found == [Event(FEED, "flatten", subject, carried.answers["0"])]


def test_a_plugin_that_fails_keeps_no_later_command_from_being_carried_out(
    plugins: Plugins, book: Book
) -> None:
    carried = carry_out(given("streaks fail", "halt:news"), plugins, book, lambda: GIVEN)
    assert isinstance(carried.failure, PluginError)
    assert carried.answers["0"] == str(carried.failures["0"])
    assert book.halted == "news"


def test_a_memory_journal_gives_them_in_order_and_withdraws_them_once() -> None:
    journal, (first, second, third) = MemoryJournal(), given("halt", "resume", "halt")
    for command in (third, first, second):
        journal.send(command)
    assert journal.withdraw("1", GIVEN, "withdrawn")
    assert not journal.withdraw("1", GIVEN, "withdrawn")
    assert journal.row(Command, "1") == replace(second, applied_at=GIVEN, answer="withdrawn")
    assert journal.commands() == [first, third]
    assert not journal.withdraw("0", GIVEN, "withdrawn")
    assert journal.commands() == [first, third], "no step has carried them out"
    journal.commit([replace(each, applied_at=GIVEN) for each in (first, third)])
    assert journal.commands() == []


def test_commands_of_one_moment_come_by_their_ids() -> None:
    journal: Any = MemoryJournal()
    for name in ("b", "a", "c"):
        journal.send(Command(name, "halt", "", GIVEN))
    assert [command.id for command in journal.commands()] == ["a", "b", "c"]
