"""`smabot simulate`: what is typed, what it shows, and a broken rule with the command that plays it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import simulation_run
from smabot.testing.simulation.drawing import Draw
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.schedule_result import Result
from smabot.testing.simulation.setup import SYMBOLS, Setup

pytestmark = pytest.mark.plugins
Call = Callable[..., Any]
RISK = ("--plugins", "risk")
SMABOT = str(Path(sys.executable).with_name("smabot"))


def test_it_shows_what_was_played(execute: Call) -> None:
    done = execute("simulate", "--seeds", "2", *RISK)
    assert done.code == 0, done.err
    assert "schedules     2" in done.out
    assert "broken rules  0" in done.out
    assert "killed" in done.out
    assert "under way when killed" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_without_options_it_plays_the_plugins_of_the_settings(execute: Call, in_tmp: Path) -> None:
    (in_tmp / "settings.toml").write_text('[default]\nplugins = ["risk"]\n')
    done = execute("simulate", "--seeds", "1", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["schedules"] == 1


def test_sums_are_kept_and_added_to(execute: Call, in_tmp: Path) -> None:
    for schedules in (1, 2):
        done = execute("simulate", "--seeds", "1", *RISK, "--resume", "sums.json", "--json")
        assert json.loads(done.out)["schedules"] == schedules
    (in_tmp / "sums.json").write_text("no sums")
    done = execute("simulate", "--seeds", "1", *RISK, "--resume", "sums.json")
    assert (done.code, done.out) == (3, "")
    assert "is no file of `smabot simulate --resume`" in done.err


def test_sums_are_kept_of_a_run_that_ends_early(
    execute: Call, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation_run, "KEPT_EVERY", 0.0)
    play, played = Setup.play, []

    def fail_the_third(self: Setup, schedule: Schedule) -> Result:
        played.append(schedule)
        if len(played) == 3:
            raise KeyboardInterrupt
        return play(self, schedule)

    monkeypatch.setattr(Setup, "play", fail_the_third)
    execute("simulate", "--seeds", "5", *RISK, "--resume", "sums.json")
    assert json.loads((in_tmp / "sums.json").read_text())["schedules"] == 2


def test_a_schedule_is_played_again_by_its_seed_and_from_a_file(
    execute: Call, in_tmp: Path
) -> None:
    by_seed = execute("simulate", *RISK, "--replay", "3")
    assert by_seed.code == 0, by_seed.err
    assert "no rule is broken" in by_seed.out
    (in_tmp / "three.json").write_text(Draw(SYMBOLS).schedule(3).to_json())
    assert execute("simulate", *RISK, "--replay", "three.json").out == by_seed.out


def test_a_trace_has_the_times_of_the_exchange_or_utc(execute: Call) -> None:
    replay = ("simulate", *RISK, "--faults", "none", "--replay", "3")
    usual, utc = execute(*replay).out, execute("--utc", *replay).out
    assert "\n2026-03-02 09:30:00 ET start\n" in usual
    assert "UTC" not in usual
    assert "\n2026-03-02 14:30:00 UTC start\n" in utc
    assert "2026-03-02 14:30:00 UTC start" in json.loads(execute("--json", *replay).out)["trace"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--faults", "submit lots"), 2, "did you mean 'submit lost'?"),
        (("--replay", "nothing.json"), 2, "no seed, and no file"),
        (("--seeds", "0"), 2, "--seeds"),
        (("--plugins", "rsik"), 3, "did you mean 'risk'?"),
        (("--broker", "ibkr"), 2, "alpaca"),
    ],
)
def test_a_mistake_is_one_line(
    execute: Call, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = execute("simulate", *arguments)
    assert done.code == code
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_strategy_that_breaks_a_rule_is_told_with_its_schedule(
    execute: Call, in_tmp: Path
) -> None:
    """A rule of its own that lets a hook fail where no fault was meant to."""
    (in_tmp / "careless.py").write_text(
        "from smabot.api import hookimpl\n\n\n"
        "class Careless:\n"
        "    @hookimpl\n"
        "    def on_fill(self, fill):\n"
        "        raise ValueError('not thought of')\n"
    )
    done = execute("simulate", "--plugins", "./careless.py", "--seeds", "1")
    assert done.code == 1
    assert "BROKEN, seed 0: 9 stops" in done.out
    assert "not thought of" in done.out
    (line,) = [line for line in done.out.splitlines() if line.startswith("play it again: ")]
    command = line.partition("smabot ")[2].split()
    again = execute(*command)
    assert again.code == 1
    assert "not thought of" in again.out


@pytest.mark.slow
def test_a_process_that_dies_is_told_with_its_seeds(execute: Call, in_tmp: Path) -> None:
    (in_tmp / "deadly.py").write_text(
        "import os\n\nfrom smabot.api import hookimpl\n\n\n"
        "class Deadly:\n"
        "    @hookimpl\n"
        "    def on_fill(self, fill):\n"
        "        os._exit(1)\n"
    )
    done = execute("simulate", "--plugins", "./deadly.py", "--jobs", "2", "--seeds", "20")
    assert done.code == 1
    assert "a process of the simulation has died while it played one of the seeds 0, 1" in done.err
    assert "play them with --jobs 1" in done.err


IDLE = """
from smabot.api import hookimpl


class Idle:
    @hookimpl
    def on_bar(self, bar):
        return None
"""


def test_who_traded_is_shown_and_a_strategy_that_never_did_is_warned_of(
    execute: Call, in_tmp: Path
) -> None:
    (in_tmp / "idle.py").write_text(IDLE)
    done = execute("simulate", "--seeds", "2", "--plugins", "./idle.py")
    assert done.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.split()}
    assert rows["idle"] == ["0", "0"]
    assert int(rows["alpha"][0]) > 0
    assert "warning: idle never traded: 0 broken rules says nothing of it" in done.err
    done = execute("simulate", "--seeds", "12", "--plugins", "sma", "--json")
    assert json.loads(done.out)["strategies"]["sma"]["fills"] > 0
    assert "never traded" not in done.err


def test_rare_pairs_are_listed_and_those_that_cannot_be_with_the_reason(execute: Call) -> None:
    """Without plugin risk nobody has the hook `may_leave`."""
    words = ("simulate", "--plugins", "sma", "--faults", "stream down,bar late", "--seeds", "1")
    found = json.loads(execute(*words, "--pairs", "20", "--json").out)
    rare, unreachable = found["rare_pairs"], found["unreachable_pairs"]
    assert not rare.keys() & unreachable.keys()
    assert {pair.partition(" × ")[2] for pair in rare} == {"stream down", "bar late"}
    assert all(times < 20 and times == found["pairs"].get(pair, 0) for pair, times in rare.items())
    assert {pair for pair, times in found["pairs"].items() if times} <= {
        *rare, *(pair for pair, times in found["pairs"].items() if times >= 20),
    }  # fmt: skip
    why = unreachable["before may_leave × stream down"]
    assert why == "no plugin that is played with has the hook may_leave"
    assert unreachable["after commit × split"] == "--faults leaves the fault out"
    screen = execute(*words, "--pairs", "20").out
    assert "can't come together, as\n" in screen
    assert why in screen
    assert max(map(len, screen.splitlines())) <= 80


@pytest.mark.slow
def test_sigterm_ends_it_with_its_sums(in_tmp: Path) -> None:
    command = [SMABOT, "simulate", *RISK, "--jobs", "2", "--seeds", "9999", "--resume", "sums.json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (in_tmp / "sums.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (143, "")
    assert ", then interrupted\n" in out


@pytest.mark.slow
@pytest.mark.parametrize("of_terminal", [False, True])
def test_ctrl_c_ends_all_processes_and_shows_the_sums(in_tmp: Path, of_terminal: bool) -> None:
    """A terminal sends it to each process, `kill -INT` to one."""
    (in_tmp / "telling.py").write_text(
        "from pathlib import Path\n\nfrom smabot.api import hookimpl\n\n\n"
        "class Telling:\n"
        "    @hookimpl\n"
        "    def on_fill(self, fill):\n"
        "        Path('played').touch()\n"
    )
    command = [SMABOT, "simulate", "--plugins", "./telling.py", "--jobs", "2", "--seeds", "9999"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (in_tmp / "played").exists():
            assert process.poll() is None
            time.sleep(0.05)
        (os.killpg if of_terminal else os.kill)(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out.startswith("schedules ")
    assert ", then interrupted\n" in out
