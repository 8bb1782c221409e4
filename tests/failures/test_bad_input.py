"""Wrong names, settings, files and tapes: one line, the right exit code, and nothing is lost."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

USAGE, CONFIG = 2, 3
HEADER = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap"
ROWS = [f"SPY,2026-03-02T14:{30 + n}:00Z,100,101,99,100.5,10000,," for n in range(5)]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--plugins", "smaa"], CONFIG, "plugin 'smaa' is not installed (did you mean 'sma'?)"),
        (["--plugins", "sma,rsik"], CONFIG, "plugin 'rsik' is not installed (did you mean 'risk'?"),
        (["--no-plugin", "smaa"], CONFIG, "plugin 'smaa' is not installed (did you mean 'sma'?)"),
        (["--symbols", "SPYY"], CONFIG, "symbol 'SPYY' is not in the data (did you mean 'SPY'?)"),
        (["--symbols", "spy,kx"], CONFIG, "symbol 'KX' is not in the data; it has IBM, SPY"),
        (["--symbols", " , "], USAGE, "--symbols names none"),
        (["--speed", "0"], CONFIG, "--speed: speed = '0': use 'max' or a number of minutes"),
        (["--speed", "nan"], CONFIG, "--speed: speed = 'nan': must be 'max' or a finite number"),
        (["--speed", "fast"], CONFIG, "--speed: speed = 'fast': must be 'max' or a number"),
        (["--until", "2026-03-02T15:00:00"], CONFIG, "--until: until = '2026-03-02T15:00:00': give a"),
        (["--until", "noon"], CONFIG, "--until: until = 'noon': give a time as in 2026-03-02T15:30:00Z"),
        (["--live"], USAGE, "--live asks for confirmation, and there is no terminal: add --yes-live"),
        (["--yes-live", "123"], USAGE, "--yes-live goes with --live"),
        (["--live", "--yes-live", "perhaps"], CONFIG, "--live needs limits that you chose: write max_"),
        (["--broker", "exchagne"], CONFIG,  # codespell:ignore
         "no plugin of this run offers the broker 'exchagne' (did you mean 'exchange'?)"),
        (["--url", "http://127.0.0.1:1"], CONFIG, "--url and --broker exchange: "),
        (["--data", "tapes.csv"], CONFIG, "data tapes.csv: no such file (did you mean 'tape.csv'?)"),
        (["--data", "settings.toml"], CONFIG, "data settings.toml: the name must end in .csv"),
        (["--data", "simulated:bars=3"], CONFIG, "data 'simulated:bars=3'"),
        (["--db", "."], CONFIG, "database . is a folder: give a file"),
        (["--ledger", "."], CONFIG, "ledger . is a folder: give a file"),
        (["--ledger", "data/trades.db"], CONFIG, "ledger data/trades.db: is the bot's own database"),
        (["--db", "settings.toml"], CONFIG, "database settings.toml: "),
        (["--db", "settings.toml/x.db"], CONFIG, "database settings.toml/x.db: its folder can't be"),
        (["--settings", "setings.toml"], CONFIG, "--settings setings.toml: no such file"),  # codespell:ignore
        (["--tap", "tape.csv"], USAGE, "No such option"),
        (["spy"], USAGE, "run: 'spy' stands alone: give symbols with --symbols spy"),
        (["12"], USAGE, "Got unexpected extra argument (12)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_wrong_flag(world: Any, arguments: list[str], code: int, line: str) -> None:
    refused = world.run("run", *arguments)
    assert (refused.code, refused.line[: len(line)]) == (code, line)
    assert (world.folder / "settings.toml").read_text().startswith("\n[default]")


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("SMABOT_SPED", "1", "SMABOT_SPED: unknown setting 'sped' (did you mean 'speed'?)"),
        ("SMABOT_BOT", "a-b", "SMABOT_BOT: bot = 'a-b': use 1 to 16 letters"),
        ("SMABOT_SIZING__SHARES", "0", "SMABOT_SIZING__SHARES: sizing.shares = 0: "),
        ("SMABOT_SIZING__METHOD", "all", "SMABOT_SIZING__METHOD: sizing.method = 'all': "),
        ("SMABOT_SYMBOLS", '["SPY", " "]', "SMABOT_SYMBOLS: symbols = ['SPY', ' ']: a symbol is"),
        ("SMABOT_PLUGIN__SMA__FSAT", "3", "SMABOT_PLUGIN__SMA__FSAT: unknown setting 'plugin.sma.fsat' (did you mean 'plugin.sma.fast'?)"),
        ("SMABOT_PLUGIN__SMA__FAST", "9", "SMABOT_PLUGIN__SMA__FAST, settings.toml [default]: plugin.sma: fast (9) must be smaller"),
        ("SMABOT_PLUGIN__RISK", "3", "SMABOT_PLUGIN__RISK: plugin.risk = 3: must be a table"),
        ("SMABOT_PLUGIN__RISK__DAILY_LIMITS", "3", "SMABOT_PLUGIN__RISK__DAILY_LIMITS: plugin.risk.daily_limits = 3: must be a table"),
        ("SMABOT_PLUGIN__RSIK__MAX", "3", "settings: plugin.rsik: no such plugin is installed"),
    ],
)  # fmt: skip
def test_a_wrong_setting(world: Any, variable: str, value: str, line: str) -> None:
    refused = world.run("run", **{variable: value})
    assert (refused.code, refused.line[: len(line)]) == (CONFIG, line)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], "t.csv: is empty; its first line must be symbol,timestamp,"),
        ([HEADER], "t.csv: has no rows after its header"),
        (ROWS, "t.csv line 1: has no header: its first line is data"),
        ([HEADER.replace("close", "clsoe"), *ROWS], "t.csv line 1: no column close: column 'clsoe' is unknown (did you mean 'close'?)"),  # codespell:ignore
        ([HEADER.replace(",low", "")], "t.csv line 1: no column low: there are 'symbol', 'timestamp', "),
        ([HEADER, *ROWS[:3], ROWS[2]], "t.csv line 5: SPY has a second bar at 2026-03-02T14:32Z"),
        ([HEADER, ROWS[0], ROWS[2], ROWS[1]], "t.csv line 4: SPY goes back in time, from 2026-03-02T14:32Z"),
        ([HEADER, ROWS[0].replace("100.5", "nan")], "t.csv line 2: close nan must be a finite price"),
        ([HEADER, ROWS[0].replace("100.5", "")], "t.csv line 2: close '' is not a number"),
        ([HEADER, ROWS[0].replace(",99,", ",-99,")], "t.csv line 2: low -99.0 must be a finite price"),
        ([HEADER, ROWS[0].replace(",101,", ",98,")], "t.csv line 2: high 98.0 is below low 99.0"),
        ([HEADER, ROWS[0].replace("10000", "-1")], "t.csv line 2: volume -1.0 must be a finite number"),
        ([HEADER, *ROWS[1:], ROWS[0].replace(",,", f",{2**63},").replace("14:30", "14:59")],
         "t.csv line 6: trade_count '9223372036854775808' is too large to be kept"),
        ([HEADER, ROWS[0].replace(",,", ",inf,")], "t.csv line 2: trade_count 'inf' is not a whole number"),
        ([HEADER, ROWS[0].replace("SPY", "Spy")], "t.csv line 2: symbol 'Spy' is not a ticker"),
        ([HEADER, ROWS[0].replace("00Z", "00")], "t.csv line 2: timestamp 2026-03-02 14:30:00 has no time zone"),
        ([HEADER, ROWS[0].replace("T14", "T04")], "data t.csv: none of its 1 rows lies in a regular session"),
    ],
)  # fmt: skip
def test_a_bad_tape(world: Any, rows: list[str], line: str) -> None:
    (world.folder / "t.csv").write_text("".join(row + "\n" for row in rows))
    refused = world.run("run", "--data", "t.csv")
    assert (refused.code, refused.line[: len(line)]) == (CONFIG, line)
    assert not list((world.folder / "data").glob("*.exchange.db*g"))
    assert world.run("run").code == 0


def test_a_truncated_gzip(world: Any) -> None:
    whole = gzip.compress((world.folder / "tape.csv").read_bytes())
    (world.folder / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    refused = world.run("run", "--data", "t.csv.gz")
    assert refused.code == CONFIG
    assert refused.line.startswith("t.csv.gz: the gzip data is truncated or damaged after ")


def test_gaps_are_traded_over_and_told_in_a_line(world: Any) -> None:
    rows = (world.folder / "tape.csv").read_text().splitlines(keepends=True)
    (world.folder / "t.csv").write_text("".join(rows[:21] + rows[31:]))
    run = world.run("run", "--data", "t.csv")
    assert (run.code, run.err) == (0, "")
    told = [line.strip() for line in run.out.splitlines() if "without a bar" in line]
    assert told == [
        "IBM: 355 minutes without a bar in 1 session, the first 2026-03-02 09:40–09:44 New York; "
        "1 more symbol with 355 minutes missing"
    ]


def test_a_folder_is_one_tape(world: Any, undisturbed: Any) -> None:
    header, *rows = (world.folder / "tape.csv").read_text().splitlines(keepends=True)
    (world.folder / "tapes").mkdir()
    for symbol in ("IBM", "SPY"):
        mine = [row for row in rows if row.startswith(symbol)]
        (world.folder / f"tapes/{symbol}.csv").write_text("".join([header, *mine]))
    assert world.run("run", "--data", "tapes").code == 0
    assert world.tables() == undisturbed


def test_symbols_are_taken_in_any_case_and_once(world: Any, make_world: Callable[..., Any]) -> None:
    plain = make_world("plain")
    assert plain.run("run", "--symbols", "SPY").code == 0
    assert world.run("run", "--symbols", " spy,,SPY ").code == 0
    assert world.tables() == plain.tables()
