"""What a run's last line says to type next uses the database and the settings of that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main

SHORT = "simulated:sessions=1,symbols=1"


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        given = ["run", "--broker", "exchange", "--speed", "max", "--data", SHORT, *words]
        assert main(given) == 0
        return capsys.readouterr().out.rpartition("try next")[2].strip()

    return run


@pytest.mark.plugins
def test_the_next_commands_read_the_run_s_own_database(ran: Any) -> None:
    look, explain, fresh = ran("--db", "my runs.db").split(" · ")
    assert look == "smabot pnl --db 'my runs.db'"
    assert explain == "smabot explain SPY --db 'my runs.db'"
    assert fresh == "a fresh start: the same command with --db 'my runs-2.db'"


@pytest.mark.plugins
def test_a_run_that_stopped_early_goes_on_with_the_same_command(ran: Any) -> None:
    assert ran("--until", "2026-03-02T15:00:00Z") == (
        "the same command resumes from this minute · smabot status"
    )
