"""The files that `smabot init` writes: settings, a strategy, and what git must not keep."""

from __future__ import annotations

from pathlib import Path

from smabot.system.redaction import SECRETS_FILE

SETTINGS = Path(__file__).with_name("settings.toml")
"""The shipped settings file, all commented out."""
PLUGINS = 'plugins = ["./strategy.py", "risk"]  # files from this folder, names, prefixes: "risk" is all of risk.*'

STRATEGY = """\
from smabot.api import Bar, Signal, hookimpl


class Rising:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:  # called for each bar of a minute, at its end
        if bar.close > bar.open:
            return Signal.long(bar)  # hold the symbol: how many shares, the settings decide
        return Signal.flat(bar)  # hold none of it; repeating a signal changes nothing
"""

GITIGNORE = f"""\
# The bot's database and log, secrets, and what Python writes.
data/
{SECRETS_FILE}
.env
__pycache__/
"""


def starter_files() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {"settings.toml": _settings(), "strategy.py": STRATEGY, ".gitignore": GITIGNORE}


def _settings() -> str:
    """Return the shipped settings, with the strategy beside them in place of the shipped one."""
    lines = SETTINGS.read_text(encoding="utf-8").splitlines()
    (place,) = [n for n, line in enumerate(lines) if line.startswith("# plugins = ")]
    lines[place] = PLUGINS
    lines[0] = (
        "# Settings of smabot. Every commented line shows its default; uncomment what you change."
    )
    return "\n".join(lines) + "\n"
