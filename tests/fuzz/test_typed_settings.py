"""What operators write gone wrong: one line, or the value that is written."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import strategies as st

from smabot.cli.records.time_arguments import TimeArgument
from smabot.cli.run_settings import recorded_settings, settings_changes
from smabot.cli.start_steps import gaps, queried_orders, read_steps
from smabot.domain.book import Book
from smabot.domain.bot_records import BotState, Run
from smabot.domain.coming_sessions import KEY, OWNER, kept_sessions
from smabot.domain.risk_answers import Check, checks_text, read_checks
from smabot.errors import ConfigError, JournalError
from smabot.settings.loading import load
from smabot.system.lock import FileLock, is_displaced, lock_holder

NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
SETTINGS = {
    "bot": "smabot", "plugins": ["sma", "risk"], "symbols": ["SPY", "QQQ"], "speed": "max", "cash": 100000,
    "max_bar_age_minutes": 5, "reconcile_every_minutes": 15, "price_collar": 0.2, "act_on_missed_entries": True,
    "sizing": {"method": "notional", "shares": 3, "notional": 1000.5, "fraction": "0.25"},
    "log": {"level": "INFO"}, "until": "2026-03-02T15:30:00Z", "plugin": {"sma": {"fast": 5}},
}  # fmt: skip

Explore = Callable[..., None]


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value).replace("Infinity", "inf")
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return (
        str(value)
        if isinstance(value, int)
        else json.dumps(value, default=repr, ensure_ascii=False)
    )


def agrees(written: Any, read: Any) -> bool:
    """Whether a setting is what a file says: of the same kind, and equal."""
    if isinstance(written, dict):
        return all(
            agrees(value, read[name] if isinstance(read, dict) else getattr(read, name))
            for name, value in written.items()
        )
    if isinstance(read, tuple | list):
        return isinstance(written, list) and list(read) == written
    if isinstance(read, bool) or isinstance(written, bool):
        return read is written
    if isinstance(read, datetime):
        return read == (
            written if isinstance(written, datetime) else datetime.fromisoformat(written.upper())
        )
    if isinstance(read, Decimal | int | float):
        return Decimal(str(read)) == Decimal(str(written).strip())
    return str(read) == written


def test_files(explore: Explore, odd: Any, in_tmp: Path, one_line: Any) -> None:
    from smabot.settings.model import Config

    base = {name: value for name, value in SETTINGS.items() if name in Config.model_fields}
    tokens = [
        "@int 5",
        "@format {env[HOME]}",
        "@jinja {{ 1 }}",
        "@merge x",
        "@none",
        "dynaconf_merge",
    ]

    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(base))
        if data.draw(st.booleans()):
            raw["bot"] = data.draw(st.sampled_from(tokens))
        text = "[default]\n" + "".join(
            f"{json.dumps(key)} = {toml(value)}\n"
            for key, value in raw.items()
            if value is not None
        )
        whole = text.encode("utf-8", "replace")
        content = data.draw(odd.damaged(whole))
        Path("settings.toml").write_bytes(content)
        try:
            config = load().config
        except ConfigError as error:
            assert one_line(error)
            return
        try:
            document = tomllib.loads(content.decode("utf-8-sig"))
        except ValueError:
            raise AssertionError("what is no TOML was read") from None
        for name, value in document.get("default", {}).items():
            if name == "symbols":
                value = list(dict.fromkeys(symbol.strip().upper() for symbol in value))
            assert agrees(value, getattr(config, name)), name

    explore(check)


def test_variables(
    explore: Explore, odd: Any, in_tmp: Path, monkeypatch: pytest.MonkeyPatch, one_line: Any
) -> None:
    names = {
        "SMABOT_BOT": "bot", "SMABOT_MAX_BAR_AGE_MINUTES": "max_bar_age_minutes",
        "SMABOT_SIZING__SHARES": "sizing.shares", "SMABOT_SIZING__NOTIONAL": "sizing.notional",
        "SMABOT_ACT_ON_MISSED_ENTRIES": "act_on_missed_entries", "SMABOT_SYMBOLS": "symbols",
    }  # fmt: skip
    more = [
        "[" * 100_000,
        "@int 5",
        "7",
        "7.0",
        "true",
        "0b11",
        "1e3",
        '["SPY"]',
        "SPY",
        "[",
        '"',
        "2026-03-02",
        "{a = 1}",
    ]

    def check(data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(names)))
        text = (
            str(data.draw(odd.values | st.sampled_from(more)))
            .replace("\0", "")
            .replace("\ud800", "")
        )
        with monkeypatch.context() as environment:
            environment.setenv(name, text)
            try:
                found: Any = load().config
            except ConfigError as error:
                assert one_line(error)
                return
        for part in names[name].split("."):
            found = getattr(found, part)
        if isinstance(found, bool):
            assert text.strip().lower() == str(found).lower()
        elif isinstance(found, int | Decimal):
            assert found == _toml_number(text)
        elif isinstance(found, str):
            assert text.strip('"') == found

    explore(check)


def _toml_number(text: str) -> Decimal:
    try:
        return Decimal(str(tomllib.loads(f"x = {text.strip()}")["x"]))
    except (ArithmeticError, ValueError):
        return Decimal(text.strip().strip('"'))


def test_times(explore: Explore, odd: Any) -> None:
    more = [
        "10:30", "9:30 ET", "10:30:15Z", "today", "TODAY", "2d", "9999w", "9999d", "0m", "2026-03-02 10:30",
        "2026-03-02T10:30ET", "2026-11-01T01:30", "2026-03-08T02:30", "0002-01-01", "9998-12-31", "٣d", "10:30+05:45",
        "2026-03-02T10:30-23:59", "9998-12-31T23:59-23:59", "24:00", "10:60",
    ]  # fmt: skip

    def check(data: Any) -> None:
        text = data.draw(odd.values | st.sampled_from(more))
        if not isinstance(text, str):
            return
        try:
            typed = TimeArgument().convert(text, None, None)
        except click.BadParameter as error:
            assert "is not a time" in error.message
            return
        for zone in (UTC, NEW_YORK):
            begin, end = typed.begin(NOW, zone), typed.end(NOW, zone)
            assert begin.tzinfo is UTC
            assert begin <= end < begin + timedelta(days=1, hours=2)
            if typed.moment is not None and "E" not in text.upper():
                moment = datetime.fromisoformat(text.upper())
                here = moment if moment.tzinfo else moment.replace(tzinfo=zone)
                assert begin == here.astimezone(UTC)

    explore(check)


def test_checks_of_an_order(explore: Explore, odd: Any, one_line: Any) -> None:
    written = [["max_trades", True, "3", "20", ""], ["size", False, "10", "", "too large"]]
    assert json.loads(checks_text(Check(*fields) for fields in written)) == written

    def check(data: Any) -> None:
        text = json.dumps(data.draw(odd.mutated(written)), default=repr)
        text = data.draw(odd.damaged(text.encode())).decode("utf-8", "replace")
        try:
            checks = read_checks(text)
        except JournalError as error:
            assert one_line(error)
            return
        for found, fields in zip(checks, json.loads(text or "[]"), strict=True):
            assert [found.name, found.passed] == list(fields)[:2]
            assert type(found.passed) is bool

    explore(check)


def test_kept_sessions_and_steps(explore: Explore, odd: Any, one_line: Any) -> None:
    sessions = [["2026-03-02", "2026-03-02T14:30:00+00:00", "2026-03-02T21:00:00+00:00"]]
    steps = [
        {"step": "backfill", "too_old": ["2026-03-02T14:30:00+00:00", "2026-03-02T14:31:00+00:00"]},
        {"step": "reconcile", "queried": ["a"], "found": "1 order"},
    ]

    def check(data: Any) -> None:
        text = json.dumps(data.draw(odd.mutated(sessions)), default=repr)
        book = Book()
        book.apply(
            BotState(OWNER, KEY, data.draw(odd.damaged(text.encode())).decode("utf-8", "replace"))
        )
        try:
            for session in kept_sessions(book).sessions:
                assert session.open.tzinfo is UTC
        except JournalError as error:
            assert one_line(error)
        text = json.dumps(data.draw(odd.mutated(steps)), default=repr)
        run = Run("1", 1, "0.1", "sma", "paper", NOW, steps=text)
        assert all(isinstance(step, dict) for step in read_steps(run))
        assert all(gap.first.tzinfo is not None for gap in gaps([run]))
        assert all(isinstance(name, str) for name in queried_orders(run))

    explore(check)


def test_kept_settings(explore: Explore, odd: Any) -> None:
    used = {
        "plugins": {"value": ["sma"], "origin": "--plugins"},
        "speed": {"value": 1.0, "origin": "default"},
    }

    def check(data: Any) -> None:
        texts = [
            json.dumps(used),
            *(json.dumps(data.draw(odd.mutated(used)), default=repr) for _ in range(2)),
        ]
        runs = [Run(text, 1, "0.1", "sma", "paper", NOW, settings=text) for text in texts]
        recorded = recorded_settings(runs)
        assert recorded[0][0] == runs[0]
        for change in settings_changes(recorded):
            assert change.before != change.after

    explore(check)


def test_lock_files(explore: Explore, odd: Any, tmp_path: Path) -> None:
    db = tmp_path / "trades.db"
    lock = FileLock(db, "database", "use another")
    beside = db.with_name("trades.db.lock")
    whole = beside.read_bytes()

    def check(data: Any) -> None:
        texts = [
            whole,
            b"",
            b"\n\n",
            b"12\n\n",
            b"12\n/ 1 2\n",
            b"12\n. 1 2\n",
            b"\xff\xfe",
            b"x" * 10_000,
            b"1\n" * 99,
        ]
        beside.write_bytes(data.draw(odd.damaged(data.draw(st.sampled_from(texts)))))
        assert isinstance(is_displaced(db), bool)
        holder = lock_holder(db)
        assert holder == "unknown" or (holder.isascii() and holder.isdigit() and len(holder) < 20)

    try:
        explore(check, share=0.2)
    finally:
        lock.release()
