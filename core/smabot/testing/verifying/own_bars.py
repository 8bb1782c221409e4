"""The author's own data as a market: any file that the paper exchange replays."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from smabot.domain.records import Bar
from smabot.errors import ConfigError
from smabot.hooks.discovery import discover
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.verifying.generated_markets import LONGEST, Market

READER = "exchange"


def market_of(data: str, config: Config, folder: Path) -> Market:
    """Return the first minutes of a data file, as `smabot run --data` takes it.

    ``folder`` is for the exchange's own files. Raises ConfigError where the file is wrong, or the plugin
    that reads it is not installed.
    """
    if READER not in discover():
        raise ConfigError(
            "--data needs the plugin that reads data files: pip install smabot-exchange"
        )
    replayed = Config(
        broker=READER, data=data, data_zone=config.data_zone, speed="max", symbols=config.symbols,
        db=folder / "own_bars.db",
    )  # fmt: skip
    plugins = Plugins.load(replayed, [READER])
    with (
        plugins.named_in_errors(),
        closing(plugins.open_broker(replayed)) as broker,
        closing(plugins.open_feed(replayed)) as feed,
    ):
        sessions = broker.calendar().sessions
        symbols = feed.tradable(replayed.symbols)
        feed.subscribe(symbols)
        bars: list[Bar] = []
        minutes = 0
        while minutes < LONGEST and (batch := feed.next(0)) is not None:
            bars += batch.bars
            minutes += bool(batch.bars)
    if not bars:
        raise ConfigError(f"--data {data}: has no bars in regular sessions")
    return Market("data", tuple(bars), sessions)
