"""The ledger: its tape, its lock, and one clear line for a file that is not as it should be."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import BrokerError, ConfigError, LockHeld


@pytest.fixture
def tape(lab: Any) -> Path:
    path: Path = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11, 12, 13]))
    return path


@pytest.fixture
def used(lab: Any, tape: Path) -> Path:
    """A ledger that was used and closed."""
    exchange = lab.open(tape, "ledger.db")
    exchange.advance()
    exchange.close()
    path: Path = lab.folder / "ledger.db"
    return path


def python(code: str, *arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, timeout=60, **more,
    )  # fmt: skip


def test_a_restart_goes_on(lab: Any, tape: Path, client: Any) -> None:
    exchange = lab.open(tape, "ledger.db")
    order = client(exchange).buy(3)
    exchange.advance()
    resting = client(exchange).buy(1, limit="5")
    before = (exchange.now, exchange.account(), exchange.positions(), exchange.account_id)
    exchange.close()
    exchange = lab.open(tape, "ledger.db")
    assert (exchange.now, exchange.account(), exchange.positions(), exchange.account_id) == before
    assert exchange.orders() == [resting]
    assert exchange.order(order.id).filled_avg_price == 10
    assert exchange.minutes == (1, 4)
    assert exchange.notes[0].endswith("resumes at 2026-03-02 14:31Z")


def test_a_first_start_imports_nothing_heavy(tmp_path: Path) -> None:
    done = python(
        """
        import sys
        from pathlib import Path
        from smabot_exchange.exchange import Exchange
        Exchange(Path(sys.argv[1]), "made").advance()
        heavy = {"exchange_calendars", "pandas", "numpy", "pyarrow"} & set(sys.modules)
        sys.exit(f"imported {heavy}" if heavy else 0)
        """,
        tmp_path / "new.db",
    )
    assert done.returncode == 0, done.stderr


def test_a_restart_does_not_need_the_parser(used: Path, tape: Path) -> None:
    done = python(
        """
        import sys
        from pathlib import Path
        import smabot.provider
        before = set(sys.modules)
        from smabot_exchange.exchange import Exchange
        Exchange(Path(sys.argv[1]), sys.argv[2]).advance()
        heavy = {"pandas", "numpy", "csv", "pyarrow"} & (set(sys.modules) - before)
        sys.exit(f"imported {heavy}" if heavy else 0)
        """,
        used,
        tape,
    )
    assert done.returncode == 0, done.stderr


def test_accounts_of_two_ledgers_differ(lab: Any, tape: Path) -> None:
    assert lab.open(tape).account_id != lab.open(tape).account_id


def test_a_changed_tape_is_refused(lab: Any, used: Path, tape: Path) -> None:
    tape.write_text(tape.read_text().replace("13,13,13,13", "14,14,14,14"))
    with pytest.raises(
        ConfigError,
        match=r"ledger\.db: was created with other data: the first difference is SPY at "
        r"2026-03-02T14:33Z; .*another --ledger or --db",
    ):
        lab.open(tape, used.name)


def test_another_tape_is_refused(lab: Any, used: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"was created with other data \(data tape\.csv\) than simulated market"
    ):
        lab.open("simulated", used.name)


def test_a_moved_tape_is_the_same_tape(lab: Any, used: Path, tape: Path) -> None:
    elsewhere = tape.with_name("moved.csv")
    shutil.copy(tape, elsewhere)
    for _ in range(2):
        lab.open(elsewhere, used.name).close()


def test_a_ledger_keeps_its_terms(lab: Any, used: Path, tape: Path) -> None:
    for terms in (
        {"cash": Decimal(5)},
        {"max_volume_share": Decimal("0.2")},
        {"multiplier": Decimal(1)},
    ):
        with pytest.raises(ConfigError, match=f"was opened with {next(iter(terms))} "):
            lab.open(tape, used.name, **terms)
    lab.open(tape, used.name, cash=Decimal("100000.00"))


def test_two_processes_cannot_play_one_ledger(lab: Any, tape: Path) -> None:
    lab.open(tape, "ledger.db")
    with pytest.raises(LockHeld, match=rf"in use by a running smabot \(pid {os.getpid()}\): stop"):
        lab.open(tape, "ledger.db")
    done = python(
        """
        import sys
        from pathlib import Path
        from smabot_exchange.exchange import Exchange
        from smabot.errors import LockHeld
        try:
            Exchange(Path(sys.argv[1]), sys.argv[2])
        except LockHeld as error:
            sys.exit(error.exit_code)
        """,
        lab.folder / "ledger.db",
        tape,
    )
    assert done.returncode == 7, done.stderr


def test_the_lock_vanishes_with_a_killed_process(lab: Any, tape: Path) -> None:
    done = python(
        """
        import os, signal, sys
        from pathlib import Path
        from smabot_exchange.exchange import Exchange
        exchange = Exchange(Path(sys.argv[1]), sys.argv[2])
        exchange.advance()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        lab.folder / "ledger.db",
        tape,
    )
    assert done.returncode == -signal.SIGKILL
    assert lab.open(tape, "ledger.db").minutes == (1, 4)


def test_a_failed_start_lets_go_of_the_lock(lab: Any, tape: Path, used: Path) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError):
            lab.open("simulated", used.name)
    lab.open(tape, used.name)


def test_an_import_killed_in_the_middle_starts_over(lab: Any, tape: Path) -> None:
    ledger = lab.folder / "ledger.db"
    done = python(
        """
        import os, signal, sys
        from pathlib import Path
        from smabot_exchange.data import data_files as tape
        from smabot_exchange.exchange import Exchange
        bars = tape.DataFiles.bars
        def dying(self):
            for number, bar in enumerate(bars(self)):
                if number == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield bar
        tape.DataFiles.bars = dying
        Exchange(Path(sys.argv[1]), sys.argv[2])
        """,
        ledger,
        tape,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not ledger.exists()
    assert len(lab.play(lab.open(tape, "ledger.db"))) == 5
    assert not ledger.with_name("ledger.db.importing").exists()


def test_a_ledger_that_was_cut_to_nothing_is_no_new_account(
    lab: Any, used: Path, tape: Path
) -> None:
    os.truncate(used, 0)
    with pytest.raises(ConfigError, match="is empty, it was truncated; restore it from a copy"):
        lab.open(tape, used.name)
    assert used.stat().st_size == 0


def test_a_ledger_whose_log_alone_is_left_is_no_new_account(
    lab: Any, tape: Path, client: Any
) -> None:
    exchange = lab.open(tape, "old.db")
    client(exchange).buy(1)
    exchange.advance()
    shutil.copy(lab.folder / "old.db-wal", lab.folder / "ledger.db-wal")
    with pytest.raises(ConfigError, match=r"its write-ahead log ledger\.db-wal is there; put"):
        lab.open(tape, "ledger.db")
    assert not (lab.folder / "ledger.db").exists()


def test_a_damaged_ledger_is_named(lab: Any, used: Path, tape: Path) -> None:
    whole = used.read_bytes()
    for damaged in (
        whole[:100] + os.urandom(4000) + whole[4100:],
        b"no database" * 100,
        whole[:5000],
    ):
        used.write_bytes(damaged)
        with pytest.raises(
            ConfigError, match=r"ledger .*ledger\.db: (is damaged|it is not a)"
        ) as caught:
            lab.open(tape, used.name)
        assert "\n" not in str(caught.value)


def test_a_ledger_with_damaged_rows_is_named(lab: Any, used: Path, tape: Path) -> None:
    db = sqlite3.connect(used)
    db.execute("UPDATE state SET cash = 'lots'")
    db.commit()
    db.close()
    with pytest.raises(ConfigError, match=r"ledger\.db: is damaged"):
        lab.open(tape, used.name)


def test_a_folder_is_no_ledger(lab: Any, tape: Path) -> None:
    (lab.folder / "data").mkdir()
    with pytest.raises(ConfigError, match="is a folder: give a file"):
        lab.open(tape, "data")


def test_another_programs_database_is_left_alone(lab: Any, tape: Path) -> None:
    path = lab.folder / "trades.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bars (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="is another program's database, not an exchange ledger"):
        lab.open(tape, "trades.db")
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(lab: Any, used: Path, tape: Path) -> None:
    db = sqlite3.connect(used)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="was written by a newer smabot-exchange"):
        lab.open(tape, used.name)


def test_a_folder_that_cannot_be_written_is_named(lab: Any, tape: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written"):
        lab.open(tape, "/proc/smabot/ledger.db")
    with pytest.raises(ConfigError, match="can't be written"):
        lab.open(tape, f"{tape}/ledger.db")


def test_a_read_only_ledger_is_named(lab: Any, unprivileged: Any, used: Path, tape: Path) -> None:
    used.chmod(0o444)
    with (
        unprivileged(),
        pytest.raises(ConfigError, match="is read-only; make it writable or give another"),
    ):
        lab.open(tape, used.name)


def test_a_disk_that_fails_stops_the_exchange(lab: Any, tape: Path, client: Any) -> None:
    exchange = lab.open(tape, "ledger.db")
    db = sqlite3.connect(lab.folder / "ledger.db")
    db.execute("CREATE TRIGGER full BEFORE INSERT ON fills BEGIN SELECT RAISE(FAIL, 'full'); END")
    db.close()
    order = client(exchange).buy(1)
    with pytest.raises(BrokerError, match="ledger"):
        exchange.advance()
    with pytest.raises(BrokerError, match="has stopped"):
        exchange.orders()
    exchange.close()
    again = lab.open(tape, "ledger.db")
    assert again.orders() == [order]
    assert again.minutes == (0, 4)


def test_closing_twice_is_harmless(lab: Any, tape: Path) -> None:
    exchange = lab.open(tape)
    exchange.close()
    exchange.close()
    with pytest.raises(BrokerError, match="closed"):
        exchange.advance()
