"""`smabot data`: commands about historical data. `fetch` is of the plugin of a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.provider import Config, ConfigError, UsageError

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_exchange.data.file_layout import Hints
    from smabot_exchange.settings import ExchangeSettings


_data_option = click.option(
    "--data",
    "folder",
    metavar="FOLDER",
    help="The folder of bars. [data of the settings; data/bars]",
)


def _layout_options(command: Any) -> Any:
    """Add the options that say how files are to be read."""
    for option in (
        click.option(
            "--symbol", metavar="SYMBOL", help="Whose bars, of files that have no symbol column."
        ),
        click.option(
            "--data-zone",
            metavar="ZONE",
            help="Time zone of times that have none: America/New_York, UTC, …",
        ),
        click.option(
            "--columns",
            metavar="NAME,NAME,…",
            help="The columns of files without a header, as date,time,open,high,low,close,volume.",
        ),
    )[::-1]:
        command = option(command)
    return command


def data_group(_settings: ExchangeSettings) -> click.Group:
    """Return the commands about historical data."""

    @click.group()
    def data() -> None:
        """Historical data: fetch, import, list and check it."""

    @data.command()
    @click.argument("file", required=False, metavar="[FILE]")
    @_layout_options
    @click.pass_obj
    def check(app: App, /, file: str | None, **layout: str | None) -> int:
        """Show what smabot makes of FILE.

        FILE is a data file, a folder, or simulated:…; without it, what the settings name. The answer has
        columns, symbols, times, sessions, gaps, and all that is wrong, not only the first. Changes
        nothing. With --symbol or --columns: what `data import` makes of it. Exit code 3: it can't be replayed,
        or imported.
        """
        from smabot_exchange.data.data_source import DEFAULT_DATA
        from smabot_exchange.data_report import show_check

        config = app.config()
        return show_check(app, file or config.data or DEFAULT_DATA, _hints(config, **layout))

    data.add_command(_import())
    data.add_command(_list())
    return data


def _import() -> click.Command:
    @click.command("import")
    @click.argument("files", nargs=-1, required=True, metavar="FILE…")
    @_data_option
    @_layout_options
    @click.option("--only", metavar="A,B", help="Only the bars of these symbols.")
    @click.option("--ends-of-minutes", is_flag=True, help="Take one minute off each time.")
    @click.option("--trust-zone", is_flag=True, help="Import though another time zone fits.")
    @click.option("--drop-bad-rows", is_flag=True, help="Leave out rows that can't be used.")
    @click.option(
        "--prefer",
        type=click.Choice(["stored", "new"]),
        help="Which bar counts where two of one minute differ.",
    )
    @click.option(
        "--format",
        type=click.Choice(["csv", "parquet"]),
        help="Of new files. [as those that are there; csv]",
    )
    @click.pass_obj
    def import_(
        app: App,
        /,
        files: tuple[str, ...],
        folder: str | None,
        only: str | None,
        format: str | None,
        **given: Any,
    ) -> int:
        """Import data files of any usual source.

        FILE is a CSV, CSV.gz or Parquet file with bars of one minute, or a folder of them. Bars of regular
        sessions are kept in a file for each symbol and year, which backtests and runs read by --data.
        """
        from smabot_exchange.data.store_folder import open_store
        from smabot_exchange.import_report import import_files
        from smabot_exchange.store_import import Rules

        config = app.config()
        hints = _hints(config, *(given.pop(name) for name in ("symbol", "data_zone", "columns")))
        wanted = (
            [_ticker("--only", each) for each in only.split(",") if each.strip()] if only else []
        )
        if only and not wanted:
            raise UsageError("--only names none: leave it out to take the bars of all symbols")
        store = open_store(config, folder, format)
        return import_files(app, store, files, hints, Rules(wanted, **given))

    return import_


def _list() -> click.Command:
    @click.command("list")
    @_data_option
    @click.pass_obj
    def list_(app: App, folder: str | None) -> int:
        """List the symbols that are stored, with their sessions and gaps."""
        from smabot_exchange.data.store_folder import open_store
        from smabot_exchange.store_list import show_list

        return show_list(app, open_store(app.config(), folder))

    return list_


def _hints(config: Config, symbol: str | None, data_zone: str | None, columns: str | None) -> Hints:
    """Return what the options of `_layout_options` say of files. Raises UsageError, and ConfigError for a zone
    that does not exist, as the setting does."""
    from smabot_exchange.data.column_names import match_columns
    from smabot_exchange.data.file_layout import Hints
    from smabot_exchange.data.time_stamps import zone_named

    header = tuple(map(str.strip, columns.split(","))) if columns else ()
    if header:
        try:
            match_columns(header, "--columns")
        except ConfigError as error:
            raise UsageError(str(error)) from None
    if data_zone:
        zone_named(data_zone, "--data-zone")
    name = _ticker("--symbol", symbol) if symbol else None
    return Hints(data_zone or config.data_zone, name, header)


def _ticker(option: str, text: str) -> str:
    from smabot_exchange.data.ticker_names import ticker

    try:
        return ticker(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
