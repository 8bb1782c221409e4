"""What to type instead of commands and options that people expect and smabot does not have.

Nothing here does anything: an answer is one line, and the exit code is that of a wrong command line.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import click

_RUN = "`smabot run` starts the bot, and resumes where the last run stopped"
_STOP = (
    "Ctrl-C or `kill -TERM PID` stops the bot (`smabot status` shows its pid); `smabot halt` stops new "
    "entries, `smabot flatten` closes all positions"
)
_HALT = "`smabot halt` stops new entries, `smabot resume` allows them again"
_FLATTEN = "`smabot flatten` closes all positions, with `--symbol` those in one symbol"
_STATUS = "`smabot status` shows positions, cash, equity and open orders"
_LOG = "`smabot events` lists what happened; the setting log.file keeps a log"
_BACKTEST = "`smabot backtest --data FILE` shows what strategies would have made"
_DATA = (
    "`smabot data fetch` gets bars from Alpaca, `smabot data import` takes files, `smabot data list` shows "
    "what is stored"
)
_PNL = "`smabot pnl` shows profit and loss, `smabot equity` the equity curve"
_HEALTH = "`smabot doctor` checks the set-up, `smabot config check` the settings"

COMMANDS_TYPED: dict[str, str] = {
    **dict.fromkeys(("start", "trade", "restart", "continue"), _RUN),
    **dict.fromkeys(("stop", "kill", "quit", "exit", "shutdown"), _STOP),
    "pause": _HALT,
    "unpause": _HALT,
    **dict.fromkeys(("close", "panic", "sell", "liquidate", "cancel"), _FLATTEN),
    "buy": "a strategy decides what to buy: `smabot run` trades it, `smabot init` writes one to begin with",
    **dict.fromkeys(("positions", "portfolio", "holdings", "balance", "account", "info"), _STATUS),
    **dict.fromkeys(("history", "fills", "executions"), "`smabot trades` lists fills"),
    "log": _LOG,
    "logs": _LOG,
    **dict.fromkeys(("test", "replay"), _BACKTEST),
    **dict.fromkeys(("fetch", "download", "import", "bars", "prices"), _DATA),
    "paper": "`smabot run` trades with paper money unless you give `--live`",
    "live": "`smabot run --live` trades with real money, and asks first",
    **dict.fromkeys(("profit", "stats"), _PNL),
    **dict.fromkeys(("check", "diagnose"), _HEALTH),
    **dict.fromkeys(("performance", "results", "tearsheet"), "`smabot report` reports on the account"),
    **dict.fromkeys(
        ("setup", "create", "configure"),
        "`smabot init FOLDER` makes a folder with settings and a strategy, `smabot new strategy NAME` a package",
    ),
    "settings": "`smabot config show` shows the settings, settings.toml changes them",
    "why": "`smabot explain` shows why an order was made, or why none was",
    **dict.fromkeys(("strategies", "strategy"), "`smabot plugins` lists strategies and all other plugins"),
    "backup": "`smabot db backup` copies the database",
    "serve": "`smabot exchange serve` serves the paper exchange",
    "reset": "`smabot breaker reset` arms the breaker; for a fresh start give `smabot run` another `--db`",
}  # fmt: skip

_PAPER = "paper money is the default: leave it out; --live is real money"
_PLUGINS = "name strategies with --plugins, as --plugins sma,risk or --plugins ./rising.py,risk"
_SYMBOLS = "name symbols with --symbols, as --symbols SPY,QQQ"
_SYMBOL = "name one symbol with --symbol, as --symbol SPY"
_KEYS = (
    "put the variables APCA_API_KEY_ID and APCA_API_SECRET_KEY into the environment, as a command line "
    "is no place for a secret"
)
_SIZE = "the settings have the size of orders, as SMABOT_SIZING__SHARES=5"

OPTIONS_TYPED: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("--paper", "--demo"), "", _PAPER),
    (("--dry-run", "--dryrun", "--test", "--simulate"), "--live", f"{_PAPER}; {_HEALTH}"),
    (("--strategy", "--strategies", "--plugin", "--algo"), "--plugins", _PLUGINS),
    (("--symbol", "--ticker", "--tickers", "--stocks", "--assets"), "--symbols", _SYMBOLS),
    (("--symbols", "--ticker", "--stock"), "--symbol", _SYMBOL),
    (("--config", "--conf", "--settings-file", "-c"), "--settings", "give --settings FILE"),
    (("--database", "--db-path", "--db-file"), "--db", "give --db PATH"),
    (("--backtest",), "--data", _BACKTEST),
    (("--file", "--input", "--bars", "--prices"), "--data", "give --data FILE"),
    (("--exchange",), "--broker", "give --broker exchange"),
    (("--fast", "--max"), "--speed", "give --speed max"),
    (("--real", "--real-money", "--prod"), "--live", "--live trades with real money, and asks first"),
    (("--start", "--begin", "--since"), "--from", "give --from DATE, as 2026-03-02"),
    (("--end", "--until", "--stop"), "--to", "give --to DATE, as 2026-03-02"),
    (("--end", "--to", "--stop"), "--until", "give --until TIME, as 2026-03-02T15:30:00Z"),
    (("--key", "--api-key", "--secret", "--api-secret", "--secret-key", "--token"), "--broker", _KEYS),
    (("--qty", "--quantity", "--shares", "--size"), "--plugins", _SIZE),
    (
        ("--cash", "--capital", "--balance"),
        "--plugins",
        "a paper account's cash is a setting, as SMABOT_PLUGIN__EXCHANGE__CASH=50000",
    ),
    (("-y", "--force"), "--yes", "give --yes"),
)  # fmt: skip
"""What is typed, the option that the command must have for the answer (empty: none), the answer."""

_EXTRA = re.compile(r"unexpected extra arguments? \((?P<first>\S+?)[\s)]")


def _are_plugins(typed: str) -> bool:
    from importlib.metadata import entry_points

    names = {point.name for point in entry_points(group="smabot")}
    return set(typed.split(",")) <= names | {name.partition(".")[0] for name in names}


def _are_symbols(typed: str) -> bool:
    return all(each.isalpha() for each in typed.split(","))


_ARGUMENTS: tuple[tuple[Callable[[str], bool], str, str], ...] = (
    (lambda typed: typed.endswith(".py"), "--plugins", "give the file with --plugins ./{}"),
    (lambda typed: "." in typed or "/" in typed, "--data", "give the data with --data {}"),
    (_are_plugins, "--plugins", "give strategies with --plugins {}"),
    (_are_symbols, "--symbols", "give symbols with --symbols {}"),
    (_are_symbols, "--symbol", "give the symbol with --symbol {}"),
)
"""How an argument looks that an option should have, the option that the command must have, the answer."""


def answer_to_command(name: str) -> str | None:
    """Return what to type instead of an unknown command; None where there is no answer."""
    answer = COMMANDS_TYPED.get(name.lower())
    return f"there is no command '{name}': {answer}" if answer else None


def answer_to_error(error: click.UsageError) -> str | None:
    """Return what to type instead of what click refuses; None where there is no answer."""
    if error.ctx is None:
        return None
    options = {each for option in error.ctx.command.params for each in option.opts}
    command = f"{error.ctx.command_path}: ".removeprefix("smabot").lstrip(" :")
    if isinstance(error, click.NoSuchOption):
        for typed, needed, answer in OPTIONS_TYPED:
            if error.option_name in typed and needed in {"", *options}:
                return f"{command}there is no option {error.option_name}; {answer}"
    elif found := _EXTRA.search(error.format_message()):
        for fits, needed, answer in _ARGUMENTS:
            if needed in options and fits(found["first"]):
                typed_so = found["first"].removeprefix("./")
                return f"{command}'{found['first']}' stands alone: {answer.format(typed_so)}"
    return None
