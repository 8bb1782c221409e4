"""43 real sessions, traded by the command as a user types it, against pandas, fill by fill."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pd = pytest.importorskip("pandas")

SMABOT = str(Path(sys.executable).with_name("smabot"))
FILLS = "SELECT time, side, price, qty, realized_pnl FROM trades ORDER BY time"
WIDE_OPEN = """
[default.plugin.sma]
fast = 10
slow = 30

[default.plugin.risk.circuit_breaker]
max_failures = 0
max_session_drawdown = 0
max_peak_drawdown = 0

[default.plugin.risk.daily_limits]
max_trades = 0
max_orders = 0
max_orders_per_symbol = 0
max_loss = 0
max_loss_fraction = 0
max_exposure = 0
max_exposure_per_symbol = 0
"""


def expected_fills(tape: Path) -> list[tuple[str, str, float]]:
    """Crossings of SMA 10 and 30 at a bar's close, filled at the next bar's open: time, side, price."""
    bars = pd.read_csv(tape, parse_dates=["timestamp"])
    local = bars["timestamp"].dt.tz_convert("America/New_York")
    minute = local.dt.hour * 60 + local.dt.minute
    bars = bars[(minute >= 9 * 60 + 30) & (minute < 16 * 60)].reset_index(drop=True)
    assert len(bars) == 16_770
    cents = (bars["close"] * 10_000).round().astype("int64")  # exact sums: ties are ties
    gap = 3 * cents.rolling(10).sum() - cents.rolling(30).sum()
    before = gap.shift(1)
    fills = []
    held = False
    for at in range(len(bars) - 1):
        up = before[at] <= 0 < gap[at]
        down = before[at] >= 0 > gap[at]
        if (up and not held) or (down and held):
            held = bool(up)
            following = bars.iloc[at + 1]
            time = following["timestamp"].strftime("%Y-%m-%dT%H:%M:%SZ")
            fills.append((time, "buy" if up else "sell", float(following["open"])))
    return fills


@pytest.mark.slow(seconds=40)
def test_trades_equal_pandas_fill_by_fill(spy_tape: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(WIDE_OPEN)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMABOT")}
    command = [SMABOT, "run", "--plugins", "sma,risk", "--data", str(spy_tape), "--speed", "max"]
    subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=300
    )
    with sqlite3.connect(tmp_path / "data/trades.db") as database:
        rows = database.execute(FILLS).fetchall()
        cash, held = database.execute(
            "SELECT cash, (SELECT qty FROM positions_snapshot) FROM account"
        ).fetchone()
        (bars,) = database.execute("SELECT COUNT(*) FROM bars").fetchone()
    database.close()
    expected = expected_fills(spy_tape)
    assert bars == 16_770
    assert len(expected) > 500
    assert [(time, side, float(price)) for time, side, price, _, _ in rows] == expected
    assert {qty for *_, qty, _ in rows} == {"10"}
    flow = sum((1 if side == "sell" else -1) * 10 * price for _, side, price in expected)
    assert float(cash) == pytest.approx(100_000 + flow, abs=1e-6)
    assert held == ("10" if expected[-1][1] == "buy" else "0")
    closed = [fill for fill in expected if fill[1] == "sell"]
    bought = [fill for fill in expected if fill[1] == "buy"][: len(closed)]
    profit = sum(10 * (out[2] - into[2]) for into, out in zip(bought, closed, strict=True))
    assert sum(float(pnl) for *_, pnl in rows) == pytest.approx(profit, abs=1e-6)

    command = [SMABOT, "--db", "tested.db", "backtest", "--data", str(spy_tape)]
    subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=300
    )
    with sqlite3.connect(tmp_path / "tested.db") as database:
        assert database.execute(FILLS).fetchall() == rows
    database.close()


@pytest.mark.slow(seconds=20)
def test_the_defaults_hold_back_none_of_these_trades(spy_tape: Path, tmp_path: Path) -> None:
    """No entry times out, comes too late in its session, jumps the price collar or is too large."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMABOT")}
    command = [SMABOT, "run", "--plugins", "sma,risk", "--data", str(spy_tape), "--speed", "max"]
    command += ["--broker", "exchange"]
    subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=600
    )
    database = sqlite3.connect(tmp_path / "data/trades.db")
    try:
        statuses = database.execute("SELECT status, COUNT(*) FROM order_intents GROUP BY status")
        assert statuses.fetchall() == [("filled", 632)]
    finally:
        database.close()
