"""`smabot verify`: what it shows, its exit codes, and that smabot's own plugins pass it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smabot.cli import main
from smabot.testing import plugin_promises

SAFE = """
from smabot.api import Bar, Settings, Signal, hookimpl

class RisingSettings(Settings):
    by: float = 0.0

class Rising:
    def __init__(self, settings: RisingSettings):
        self.by = settings.by

    @hookimpl
    def on_bar(self, bar: Bar):
        print("a strategy may print")
        if bar.close > bar.open + self.by:
            return Signal.long(bar)
        return Signal.flat(bar) if bar.close < bar.open else None
"""
QUICK = ("--check", "signals", "--check", "pure-hooks")


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def verify(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    (in_tmp / "rising.py").write_text(SAFE)

    def verify(*arguments: str) -> Result:
        code = main(["verify", *arguments])
        return Result(code, *capsys.readouterr())

    return verify


def test_a_safe_strategy_passes_with_a_line_for_each_check(verify: Callable[..., Result]) -> None:
    done = verify("./rising.py", *QUICK)
    assert (done.code, done.err) == (0, "")
    head, titles, *lines, last = done.out.splitlines()
    assert head == "rising  strategy"
    assert titles.split() == ["check", "result", "cases", "seconds"]
    assert re.match(r"  signals +passed +\d+ +\d+\.\d  signals on \d+ bars$", lines[0])
    assert re.match(r"  pure-hooks +passed +\d+ +\d+\.\d$", lines[1])
    assert re.match(r"rising: 2 checks passed in \d+\.\d s$", last)


def test_a_failed_check_says_what_to_do_and_how_to_replay_it(
    verify: Callable[..., Result], unsafe: Callable[[str], str]
) -> None:
    done = verify(unsafe("attribute_state"), "--check", "restart-safe")
    assert done.code == 1
    said = " ".join(done.out.split())
    assert "killed at boundary" in said
    assert "do: keep state in declared records" in said
    assert "attribute_state: NOT VERIFIED, restart-safe" in said
    replay = re.search(r"replay: smabot verify (.*)", done.out)
    assert replay
    again = verify(*replay[1].split())
    assert (again.code, re.findall(r"FAILED +(\d+)", again.out)) == (1, ["1"])
    assert max(map(len, done.out.splitlines())) <= 80 + len(unsafe(""))


def test_it_shows_the_times_of_the_exchange_or_utc(
    verify: Callable[..., Result], unsafe: Callable[[str], str]
) -> None:
    strategy, window = unsafe("small_lookback"), ("--check", "window-pure")
    usual = " ".join(verify(strategy, *window).out.split())
    assert re.search(r"restarted at 2026-03-02 (09|1\d):\d\d ET of the market", usual)
    assert "UTC" not in usual
    (plugin,) = json.loads(verify(strategy, *window, "--json").out)["plugins"]
    assert re.search(r"restarted at 2026-03-02 1[4-9]:\d\d UTC", plugin["checks"][0]["said"])


def test_one_that_never_signals_is_not_called_verified(
    verify: Callable[..., Result], unsafe: Callable[[str], str]
) -> None:
    done = verify(unsafe("never_signals"), *QUICK)
    assert done.code == 1
    assert "UNPROVED" in done.out
    assert "bars; nothing proved" in " ".join(done.out.split())
    done = verify(unsafe("never_signals"), "--set", "symbols=KO,PEP", "--check", "signals")
    assert done.code == 0


def test_a_replay_has_the_settings_of_the_trial(
    verify: Callable[..., Result], unsafe: Callable[[str], str]
) -> None:
    name, settings = unsafe("impure"), ("--set", "impure.uses=chance", "--set", "symbols=KO,PEP")
    done = verify(name, *settings, "--check", "pure-hooks")
    replay = f"{name} {' '.join(settings)} --check pure-hooks --case waves"
    assert f"replay: smabot verify {replay}\n" in done.out
    assert verify(*replay.split()).code == 1


@pytest.mark.plugins
def test_it_takes_the_authors_own_data(
    verify: Callable[..., Result], tape_writer: Any, in_tmp: Path
) -> None:
    tape_writer(in_tmp / "own.csv", {"KO": [10, 11, 12, 11, 10, 11, 12]})
    checks = ("--check", "signals", "--check", "restart-safe")
    done = verify("./rising.py", "--data", "own.csv", *checks, "--case", "data-1")
    assert done.code == 0, done.err
    assert "signals on 7 bars" in done.out


def test_settings_are_given_for_the_trial(verify: Callable[..., Result]) -> None:
    done = verify("./rising.py", "--check", "signals", "--set", "rising.by=1000")
    assert (done.code, "never signalled an entry: " in done.out) == (1, True)
    assert verify("./rising.py", "--check", "signals", "--set", "rising.by=0.01").code == 0


def test_json_has_every_check(verify: Callable[..., Result]) -> None:
    done = verify("./rising.py", *QUICK, "--json")
    (plugin,) = json.loads(done.out)["plugins"]
    assert (plugin["name"], plugin["roles"], plugin["verified"]) == ("rising", ["strategy"], True)
    assert [check["name"] for check in plugin["checks"]] == ["signals", "pure-hooks"]
    assert all(check["result"] == "passed" and check["cases"] for check in plugin["checks"])


def test_the_badge_is_a_line_for_a_readme(verify: Callable[..., Result]) -> None:
    done = verify("./rising.py", *QUICK, "--badge")
    badge = r"!\[smabot verify rising: 2 of 2 checks passed, \d[\d.]+\]\(https://img\.shields\.io/badge/\S+-brightgreen\)\n"
    assert re.fullmatch(badge, done.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("./risng.py",), "plugin './risng.py': no such file (did you mean 'rising.py'?)"),
        (("./rising.py", "--check", "signal"), "no check 'signal' (did you mean 'signals'?)"),
        (
            ("./rising.py", "--check", "durable"),
            "plugin 'rising', a strategy, has no check durable",
        ),
        (("./rising.py", "--set", "rising.bye=1"), "plugin.rising.bye"),
        (("./rising.py", "--set", "risng.by=1"), "a setting of none of the plugins"),
        (("./rising.py", "--set", "by"), "write it as KEY=VALUE"),
        (("./rising.py", "--check", "signals", "--case", "wavs"), "no market 'wavs'"),
        (("./rising.py", "--check", "signals", "--case", "waves/x"), "write a case as"),
    ],
)
def test_a_mistake_is_one_line(
    verify: Callable[..., Result], arguments: tuple[str, ...], said: str
) -> None:
    done = verify(*arguments)
    assert (done.code, done.out) == (3, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "promise", plugin_promises(str(Path(__file__).parent / "unsafe/wall_clock.py")), ids=repr
)
def test_pytest_runs_the_checks_as_tests(promise: Any) -> None:
    if repr(promise) in ("wall_clock:signals", "wall_clock:no-globals"):
        promise()
    elif repr(promise) == "wall_clock:pure-hooks":
        with pytest.raises(
            AssertionError, match=r"no hook reads a clock.*wall_clock\.py:\d+.*do: a restart"
        ):
            promise()


@pytest.mark.plugins
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["sma", "risk", "reconciliation", "persistence_sqlite", "exchange", "alpaca"]
)
def test_smabots_own_plugins_pass(verify: Callable[..., Result], name: str) -> None:
    done = verify(name, "--send-orders")
    assert done.code == 0, done.out + done.err
