"""What an outsider tries: each ends in one clear line that names the thing, with the right exit code."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smabot.cli import main

pytestmark = pytest.mark.plugins
FAILURE, USAGE, CONFIG, BROKER, LOCKED = 1, 2, 3, 4, 7
LONGEST = 320
LONG = "x" * 5000
HEADER = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap"
TIME = "2026-03-02T14:30:00Z"


class Result(NamedTuple):
    code: int
    out: str
    err: str


def judge(result: Any, code: int, *names: str) -> str:
    """Return what is wrong with how a command ended; empty: nothing."""
    problems = []
    lines = result.err.splitlines()
    if result.code != code:
        problems.append(f"code {result.code} instead of {code}")
    if len(lines) != 1 or not result.err.startswith("smabot: "):
        problems.append(f"{len(lines)} lines")
    if len(result.err) > LONGEST:
        problems.append(f"{len(result.err)} characters")
    if not all(character.isprintable() for line in lines for character in line):
        problems.append("control characters")
    if any(word in result.err for word in ("internal error", "Traceback", "Errno", "pydantic")):
        problems.append("not for a person")
    problems += [f"does not name {name!r}" for name in names if name not in result.err]
    return f"{', '.join(problems)}: {result.err[:400]!r}" if problems else ""


# -- flags -----------------------------------------------------------------------------------------

TEXTS = [
    "",
    " ",
    "\t",
    "\n",
    "-",
    "ü",
    "\x1b[31m",
    "\x07",
    "'",
    '"',
    "{x}",
    "%s",
    "a b",
    "\udcff",
    LONG,
]
NUMBERS = ["x", "-1", "1.5", "1e400", "nan", "inf", "0x10", "9" * 40, "9" * 5000, "١", "true", ""]
FLAGS: list[tuple[int, str, list[list[str]]]] = [
    (USAGE, "", [[text] for text in TEXTS if text and not text.startswith("-")]),
    (USAGE, "", [["--nope"], ["-z"], ["run", "--nope"], ["run", "-x"], ["config", "shwo"], ["db", "x"],  # codespell:ignore
                 ["exchange", "x"], ["breaker", "x"], ["status", "x"], ["halt", "--x"]]),
    (USAGE, "--db", [["status", "--db", text] for text in TEXTS[:4]] + [["status", "--db"]]),
    (CONFIG, "", [["status", "--db", text] for text in TEXTS[4:]]),
    (USAGE, "--settings", [["status", "--settings", text] for text in TEXTS[:4]]),
    (CONFIG, "--settings", [["status", "--settings", text] for text in TEXTS[4:]]),
    (CONFIG, "plugin", [["run", "--plugins", text] for text in [",a", "sma,,smaa", *TEXTS[5:]]]),
    (USAGE, "--plugins", [["run", "--plugins", text] for text in ["", " ", ",", " , "]]),
    (USAGE, "--no-plugin", [["run", "--no-plugin", text] for text in TEXTS[:4]]),
    (CONFIG, "plugin", [["run", "--no-plugin", text] for text in TEXTS[4:]]),
    (USAGE, "--symbols", [["run", "--symbols", text] for text in ["", " ", ",", "\n"]]),
    (CONFIG, "symbol", [["run", "--symbols", text] for text in TEXTS[4:]]),
    (CONFIG, "--speed", [["run", "--speed", text] for text in NUMBERS if text and text not in ("1.5", "١")]),
    (CONFIG, "--until", [["run", "--until", text] for text in [
        "x", "0", "2026", "2026-13-01T00:00:00Z", "2026-03-02", "9999-12-31T23:59:59Z", "1969-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59", "2026-03-02T15:30:00", "24:00", "now", LONG]]),
    (CONFIG, "broker", [["run", "--broker", text] for text in ["x", "Exchange", "ü", "\x1b", LONG]]),
    (CONFIG, "data", [["run", "--data", text] for text in TEXTS[4:]]),
    (CONFIG, "data", [["run", "--data", text] for text in [
        "/dev/null", "/dev/full", "/", "/proc/self/mem", "x.csv", "~nobody-such/x.csv", "simulated:", "madex", "simulated:x",
        "simulated:symbols", "simulated:symbols=x", "simulated:symbols=0", "simulated:symbols=-1", f"simulated:symbols={'9' * 30}",
        f"simulated:seed={'9' * 5000}", "simulated:sessions=1e3", "simulated:start=2026-02-30", "simulated:start=9999-12-31",
        "simulated:symbols=1,symbols=2", "settings.toml", f"{LONG}.csv"] if text != "simulated:"]),
    (CONFIG, "ledger", [["run", "--db", "n.db", "--ledger", text] for text in
                        ["/", ".", "tape.csv", "settings.toml", "settings.toml/x", f"{LONG}.db"]]),
    (CONFIG, "", [["run", "--broker", "alpaca", "--url", text] for text in [
        "x", "127.0.0.1", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://127.0.0.1:99999", "http://[::1",
        "http://127.0.0.1/path?x", "//x", "http://ü ü", "\x1b[31m", LONG]]),
    (USAGE, "", [["run", "--live"], ["run", "--yes-live", "A"], ["run", "--yes-live", ""],
                 ["run", "--live", "--yes-live", " "], ["flatten", "--live", "--symbol", ""]]),
    (USAGE, "--symbol", [["flatten", "--yes", "--symbol", text] for text in ["", " ", "x", "ü", "\x1b", LONG]]),
    (USAGE, "--timeout", [["flatten", "--yes", "--timeout", text] for text in NUMBERS if text not in ("1.5", "١")]),
    (USAGE, "", [["flatten"], ["flatten", "SPY"]]),
    (USAGE, "--limit", [[verb, "--limit", text] for verb in ("orders", "trades", "signals", "equity")
                        for text in NUMBERS if text not in ("١",)]),
    (USAGE, "--symbol", [[verb, "--symbol", ""] for verb in ("orders", "trades", "signals")]),
    (USAGE, "--date", [["trades", "--date", text] for text in
                       ["", "x", "2026", "2026-02-30", "0000-01-01", "99999-01-01", "\x1b", LONG]]),
    (USAGE, "--by", [["pnl", "--by", text] for text in ["", "x", "DAYS", "\x1b", LONG]]),
    (USAGE, "--accept", [["reconcile", "--accept", text] for text in ["", "me", "\x1b", LONG]]),
    (CONFIG, "no setting", [["config", "show", text] for text in ["x", "sma", "speed.x", "ü", "\x1b", LONG]]),
    (USAGE, "", [["db", "prune"], ["db", "prune", "--keep-days", "1", "--bars-before", "2026-01-01"]]),
    (USAGE, "--keep-days", [["db", "prune", "--keep-days", text] for text in NUMBERS if text != "١"]),
    (USAGE, "--bars-before", [["db", "prune", "--bars-before", text] for text in ["x", "", "2026-02-30", LONG]]),
    (USAGE, "", [["db", "backup", text] for text in ["tape.csv", "data/trades.db"]]),
    (CONFIG, "", [["db", "backup", "settings.toml/x"]]),
    (FAILURE, "", [["db", "backup", LONG]]),
    (USAGE, "--port", [["exchange", "serve", "--port", text] for text in NUMBERS if text != "١"]),
    (USAGE, "--speed", [["exchange", "serve", "--port", "0", "--speed", text] for text in
                        [*(n for n in NUMBERS if n not in ("1.5", "١")), "Max", LONG]]),
    (USAGE, "--requests-per-minute", [["exchange", "serve", "--requests-per-minute", text] for text in
                                      ["x", "-1", "1.5", "9" * 40]]),
    (CONFIG, "faults", [["exchange", "serve", "--port", "0", "--faults", text] for text in
                        ["x.toml", "/", "/dev/null/x", "tape.csv", LONG]]),
]  # fmt: skip


def of_flags() -> Iterator[tuple[int, str, list[str]]]:
    for code, names, lines in FLAGS:
        for line in lines:
            yield code, names, line


class Caller:
    """Calls the command's entry in this process: a fork for each would take a minute."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.wrong: dict[str, str] = {}
        self.count = 0

    def __call__(self, code: int, line: list[str], *names: str, what: str = "") -> None:
        """Call, and keep what is wrong with how it ended."""
        ended = main(line)
        self.count += 1
        if problem := judge(Result(ended, *self._capsys.readouterr()), code, *names):
            self.wrong[what or " ".join(line)[:80]] = problem

    def told(self) -> str:
        return "\n".join(f"{line!r}: {problem}" for line, problem in self.wrong.items())


@pytest.fixture
def call(world: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Caller:
    world.half_way()
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr("sys.stdin", None)
    return Caller(capsys)


def test_flags(call: Caller, world: Any) -> None:
    before = world.tables()
    for code, names, line in of_flags():
        call(code, line, names)
    assert not call.wrong, call.told()
    assert call.count > 250
    assert world.tables() == before


# -- settings --------------------------------------------------------------------------------------

WRONG_NUMBERS = ["true", "false", "'x'", "''", "-1", "nan", "inf", "-inf", "1e400", "-1e400", "9" * 30, "[]", "[1]",
                 "{}", "2026-01-01", "'1e400'", "'nan'", '"\\u0000"', f"'{'9' * 400}'"]  # fmt: skip
WRONG_BOOLS = ["1", "0", "'yes'", "'true'", "'on'", "''", "1.0", "[]", "{}", "2026-01-01"]
WRONG_TEXTS = ["1", "true", "1.5", "[]", "{}", "2026-01-01"]
WRONG_LISTS = ["1", "true", "'sma'", "{}", "[1]", "[true]", "[['x']]", "2026-01-01"]
SETTINGS: dict[str, list[str]] = {
    **dict.fromkeys(
        ["max_bar_age_minutes", "equity_every_minutes", "reconcile_every_minutes", "entry_timeout_minutes",
         "last_entry_minutes", "price_collar", "sizing.shares", "sizing.notional", "sizing.fraction",
         "plugin.sma.fast", "plugin.risk.daily_limits.max_trades", "plugin.risk.daily_limits.max_loss",
         "plugin.risk.circuit_breaker.max_failures", "plugin.risk.circuit_breaker.cool_down_minutes",
         "plugin.risk.circuit_breaker.max_peak_drawdown", "plugin.alpaca.request_timeout",
         "plugin.alpaca.gather_seconds", "plugin.exchange.cash", "plugin.exchange.max_volume_share"], WRONG_NUMBERS),
    "speed": [*WRONG_NUMBERS, "0", "1e6"],
    **dict.fromkeys(["live", "act_on_missed_entries", "cancel_entries", "plugin.alpaca.send_position_intent"],
                    WRONG_BOOLS),
    **dict.fromkeys(["bot", "db", "broker", "foreign", "log.file", "log.level", "sizing.method", "ledger"],
                    WRONG_TEXTS),
    **dict.fromkeys(["plugins", "base_plugins", "no_plugins", "symbols"], WRONG_LISTS),
    "bot ": ["''", "'a b'", "'ü'", "'x-y'", "'" + "x" * 17 + "'", '"\\u001b"'],
    "db ": ["''", "'/'", "' '", '"\\u0000"', f"'{LONG}'", "'" + "x/" * 2000 + "'"],
    "until": ["1", "true", "'x'", "2026-03-02", "12:00:00", "2026-03-02T15:30:00", "9999-12-31T23:59:59Z",
              "'1e9'", "[]", "{}"],
    "plugin.alpaca.lookups": ["1", "[]", "[true]", "[1, 1]", "[2, 1]", "[0]", "['x']", "[1e400]", "[nan]"],
    "plugin.alpaca.feed": ["'x'", "1", "true"],
    "plugin.sma.symbols": ["1", "[]", "'x'", "{SPY = 1}", "{SPY = {fast = true}}", "{SPY = {fsat = 1}}"],
    "sizing": ["1", "[]", "'x'", "{x = 1}"], "log": ["1", "{levle = 'INFO'}"], "plugin": ["1", "[]"],  # codespell:ignore
    "plugin.sma": ["1", "[]", "{x = 1}"], "plugin.smaa": ["{}", "1"], "plugin.risk": ["1", "{x = 1}"],
    "plugin.persistence_sqlite": ["{x = 1}"], "nonsense": ["1"], f"{LONG}": ["1"], "Speed ": ["0"], "mode": ["1"],
}  # fmt: skip


def test_settings(call: Caller, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMABOT_BROKER")
    for key, values in SETTINGS.items():
        for value in values:
            (world.folder / "settings.toml").write_text(f"[default]\n{key} = {value}\n")
            name = key.strip().lower()
            call(
                CONFIG,
                ["config", "check"],
                name if len(name) < 99 else "x",
                what=f"{key} = {value}"[:90],
            )
    assert not call.wrong, call.told()
    assert call.count > 450


def test_variables(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in {
        "SMABOT_LIVE": ["1", "yes", "on", "", "0", "maybe"],
        "SMABOT_SPEED": ["true", "", "x", "nan", "-1", "1e400", "\x1b[31m", LONG],
        "SMABOT_MAX_BAR_AGE_MINUTES": ["true", "", "x", "1.5", "9" * 40, "[1]"],
        "SMABOT_PLUGINS": ["sma", "", "1", "[1]", "['']", "['smaa']"],
        "SMABOT_UNTIL": ["noon", "1", "true"],
        "SMABOT_DB": ["/", "5", "true", "[]"],
        "SMABOT_SIZING__SHARES": ["true", "0", "x", "1e400"],
        "SMABOT_SIZING": ["1", "x"],
        "SMABOT_PLUGIN__SMA__FAST": ["true", "x", "-1", "99999999999999999999"],
        "SMABOT_PLUGIN__SMAA__FAST": ["1"],
        "SMABOT_PLUGIN__SMA": ["1"],
        "SMABOT_NONSENSE": ["1"],
        "SMABOT_": ["1"],
        "SMABOT___": ["1"],
        "SMABOT_ENV": ["nonsense", "\x1b[31m", LONG],
    }.items():
        for value in values:
            monkeypatch.setenv(name, value)
            key = name.removeprefix("SMABOT_").replace("__", ".").lower()
            named = {"SMABOT_ENV": name, "SMABOT_PLUGINS": "plugin", "SMABOT___": name}.get(
                name, key
            )
            named = named.replace("smaa.fast", "smaa")
            call(CONFIG, ["config", "check"], named, what=f"{name}={value[:60]}")
        monkeypatch.delenv(name)
    assert not call.wrong, call.told()


def test_settings_files(call: Caller, world: Any) -> None:
    file = world.folder / "settings.toml"
    for content in [
        b"\x00", b"\x00" * 9000, b"\xff\xfe[\x00d\x00", b"[default", b"[default]\nspeed", b"[default]\nspeed =",
        b"[default]\nspeed = 'x", b"[default]\nspeed = 1\nspeed = 2", b"speed = 1",
        b"[speed]\nx = 1", b"[defautl]\nspeed = 1", b"[[default]]\nspeed = 1", b"default = 1", b"{}", b"<xml/>",  # codespell:ignore
        b"[default]\nspeed = 0777", b"[default]\nspeed = " + b"9" * 5000, b"[default]\nbot = '" + b"x" * 9000 + b"'",
        b"[default]\n" + b"x" * 9000 + b" = 1", b"[default]\n\x1b[31m = 1", b'[default]\n"\\u001b" = 1',
        b"[default]\nplugin = " + b"[" * 3000, b"[default]\nspeed = @format {env[HOME]}", b"PK\x03\x04" * 99,
        b"SQLite format 3\x00", b"[default]\n\xef\xbb\xbfspeed = 1",
    ]:  # fmt: skip
        file.write_bytes(content)
        call(CONFIG, ["config", "check"], "settings.toml", what=repr(content[:70]))
    file.unlink()
    os.mkfifo(file)
    call(CONFIG, ["config", "check"], "settings.toml", what="a pipe")
    assert not call.wrong, call.told()


# -- data files ------------------------------------------------------------------------------------

ROW = f"SPY,{TIME},100,101,99,100.5,1000,,"
ROWS = [
    "", ",,,,,,,,", "x", f"SPY,{TIME}", f"{ROW},", "SPY,x,100,101,99,100.5,1,,", "SPY,2026-03-02,1,1,1,1,1,,",
    "SPY,2026-03-02T14:30:00,1,1,1,1,1,,", "SPY,2026-03-02T14:30:30Z,1,1,1,1,1,,",
    "SPY,0001-01-01T00:00:00+23:59,1,1,1,1,1,,", "SPY,9999-12-31T23:59:00-23:59,1,1,1,1,1,,",
    *(f"SPY,{TIME},{bad},101,99,100.5,1,," for bad in ["", "x", "0", "-1", "nan", "inf", "1e400", "\x00" * 99, LONG]),
    *(f"SPY,{TIME},100,101,99,100.5,{bad},," for bad in ["", "x", "-1", "nan", "inf"]),
    *(f"SPY,{TIME},100,101,99,100.5,1,{bad}," for bad in ["x", "-1", "1.5", "9" * 5000]),
    *(f"SPY,{TIME},100,101,99,100.5,1,,{bad}" for bad in ["x", "-1", "0", "nan"]),
    *(f"{bad},{TIME},100,101,99,100.5,1,," for bad in ["", "Spy", "S P", "ü", "\x00", "\x1b[31m", "-", LONG]),
    f"SPY,{TIME},100,99,101,100,1,,", f"{ROW}\n{ROW}", f"{ROW}\nSPY,2026-03-02T14:31:00Z,100,101,99,100.5,1,,\nSPY,2026-03-02T14:29:00Z,100,101,99,100.5,1,,",
    "SPY,1990-01-01T03:00:00Z,100,101,99,100.5,1,,", f'"{LONG}', f'"SPY,{TIME}',
]  # fmt: skip
HEADERS = [
    "", "\n", "x", "\x00", "\x00" * 16_000, LONG, HEADER.replace("open", "opne"), f"{HEADER},",  # codespell:ignore
    HEADER.replace("open,", ""), HEADER.replace("high", "open"), f"{HEADER},symbol", HEADER.replace(",", ";"),
    HEADER.replace(",", "\t"), HEADER[::-1], "\x1b[31m" + HEADER, "symbol,open,timestamp" + HEADER[16:],
    "{" + HEADER + "}", ",".join(f"c{n}" for n in range(5000)),
]  # fmt: skip


def test_data_files(call: Caller, world: Any) -> None:
    def play(name: str, what: str) -> None:
        call(
            CONFIG,
            ["run", "--db", "n.db", "--ledger", "l.db", "--data", name],
            name.split("/")[0],
            what=what,
        )

    for header in HEADERS:
        (world.folder / "x.csv").write_text(f"{header}\n{ROW}\n")
        play("x.csv", repr(header[:60]))
    for row in ROWS:
        (world.folder / "x.csv").write_text(f"{HEADER}\n{row}\n")
        play("x.csv", repr(row[:60]))
    for name, content in {
        "e.csv": b"", "n.csv": b"\x00", "u.csv": HEADER.encode("utf-16"), "l.csv": HEADER.encode() + b"\n\xff",
        "z.csv": gzip.compress(HEADER.encode()), "p.csv.gz": HEADER.encode(), "c.csv.gz": gzip.compress(b"x" * 9999)[:20],
        "h.csv.gz": gzip.compress(HEADER.encode()), "p.parquet": HEADER.encode(), "e.parquet": b"",
        "m.parquet": b"PAR1" + b"\x00" * 50 + b"PAR1", "q.csv": b"SQLite format 3\x00" + b"\x00" * 200,
        "x.txt": HEADER.encode(), "x.csv.zip": b"PK", "noname": b"",
    }.items():  # fmt: skip
        (world.folder / name).write_bytes(content)
        play(name, name)
    (world.folder / "d").mkdir()
    play("d", "an empty folder")
    (world.folder / "d" / "a.csv").mkdir()
    play("d", "a folder in a folder")
    os.mkfifo(world.folder / "f.csv")
    play("f.csv", "a pipe")
    (world.folder / "s.csv").symlink_to("s.csv")
    play("s.csv", "a link to itself")
    (world.folder / "t.csv").symlink_to("nowhere.csv")
    play("t.csv", "a dangling link")
    assert not call.wrong, call.told()
    assert not (world.folder / "l.db").exists()


# -- databases -------------------------------------------------------------------------------------


def databases(world: Any) -> Iterator[tuple[str, Callable[[Path], object]]]:
    whole = world.db.read_bytes()

    def sql(*statements: str) -> Callable[[Path], None]:
        def change(path: Path) -> None:
            path.write_bytes(whole)
            with sqlite3.connect(path) as connection:
                for statement in statements:
                    connection.execute(statement)
            connection.close()

        return change

    yield "text", lambda path: path.write_text("hello")
    yield "long text", lambda path: path.write_text("hello" * 9999)
    yield "zeros", lambda path: path.write_bytes(bytes(9999))
    yield "a header", lambda path: path.write_bytes(whole[:100])
    yield "a part", lambda path: path.write_bytes(whole[:5000])
    yield "half", lambda path: path.write_bytes(whole[: len(whole) // 8192 * 4096])
    yield "overwritten", lambda path: path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    yield (
        "another program's",
        lambda path: sqlite3.connect(path).execute("CREATE TABLE x (y)").connection.close(),
    )
    yield "the ledger", lambda path: path.write_bytes(world.ledger.read_bytes())
    yield "a future version", sql("UPDATE alembic_version SET version_num = '9999'")
    yield (
        "a strange version",
        sql("UPDATE alembic_version SET version_num = char(27) || '[31m' || hex(zeroblob(3000))"),
    )
    yield "no version", sql("DELETE FROM alembic_version")


def test_databases(call: Caller, world: Any) -> None:
    for what, make in databases(world):
        for command in (["status"], ["run", "--ledger", "l.db"], ["orders"], ["halt", "x"]):
            path = world.folder / "own.db"
            path.unlink(missing_ok=True)
            make(path)
            ended = main([*command, "--db", "own.db"])
            result = Result(ended, *call._capsys.readouterr())
            call.count += 1
            allowed = result.code if result.code in (FAILURE, CONFIG) else CONFIG
            if problem := judge(result, allowed, "own.db"):
                call.wrong[f"{what}, {command[0]}"] = problem
    assert not call.wrong, call.told()


# -- faults ----------------------------------------------------------------------------------------


def test_faults(call: Caller, world: Any) -> None:
    for content in [
        "", "x", "seed = 'x'", "seed = true", "faults = 1", "[[faults]]", "[[faults]]\nkind = 'x'", "[[faults]]\nkind = 1",
        "[[faults]]\nkind = 'reset'\nx = 1", "[[faults]]\nkind = 'reset'\nnth = 0", "[[faults]]\nkind = 'reset'\nnth = true",
        "[[faults]]\nkind = 'reset'\nprobability = 2", "[[faults]]\nkind = 'reset'\nprobability = nan",
        "[[faults]]\nkind = 'reset'\ntimes = 99999999999999999999", f"[[faults]]\nkind = '{LONG}'", "\x00" * 999,
        f"{LONG} = 1", "seed = " + "9" * 5000,
    ]:  # fmt: skip
        (world.folder / "f.toml").write_text(content)
        if content:
            call(
                CONFIG,
                ["exchange", "serve", "--port", "0", "--faults", "f.toml"],
                "f.toml",
                what=content[:60],
            )
    assert not call.wrong, call.told()
