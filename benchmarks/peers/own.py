"""smabot's part of the comparison: its settings, its programs, and its cache of bars."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import SMABOT, Ended, spawn
from benchmarks.sessions import WIDE


@dataclass(frozen=True, slots=True)
class Own:
    """Runs smabot in a folder, with limits that are checked but not reached, and entries at any time."""

    folder: Path

    @property
    def settings(self) -> Path:
        """The settings file, which is written where it isn't there."""
        path = self.folder / "settings.toml"
        if not path.exists():
            limits = WIDE["daily_limits"].items()
            path.write_text(
                "[default]\nlast_entry_minutes = 0\n[default.plugin.risk.daily_limits]\n"
                + "".join(f"{name} = {most}\n" for name, most in limits)
            )
        return path

    def driver(self, data: Path) -> list[str]:
        """Return the command whose last line is as that of a peer's driver."""
        module = "benchmarks.peers.drivers.smabot_driver"
        return [sys.executable, "-m", module, str(data), str(self.settings)]

    def backtest(self, data: Path, *, tables: bool = False, cached: bool = True) -> Ended:
        """Run `smabot backtest`; ``tables``: written to a database; ``cached``: bars may be."""
        if not cached:
            shutil.rmtree(self.cache, ignore_errors=True)
        number = sum(1 for _ in self.folder.glob("trades-*.db"))
        database = ["--db", str(self.folder / f"trades-{number}.db")] if tables else []
        command = [SMABOT, "backtest", "--settings", str(self.settings), "--data", str(data)]
        return spawn([*command, "--plugins", "sma,risk", *database], variables=self.variables)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def variables(self) -> dict[str, str]:
        return {"XDG_CACHE_HOME": str(self.cache)}
