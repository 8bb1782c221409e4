"""What schedules are played on: the plugins, their settings, and markets, made once for a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from loguru import logger

from smabot.hooks.discovery import discover, load_plugin, make_from, named_by, select
from smabot.hooks.plugins import Plugins
from smabot.hooks.simulated_exchange import SimulatedAction, SimulatedExchanges
from smabot.hooks.simulated_machine import SimulatedClient, SimulatedMachine
from smabot.settings.model import Config
from smabot.testing.simulation.actors import Actor
from smabot.testing.simulation.databases import Database, FileDatabase
from smabot.testing.simulation.drawing import Draw
from smabot.testing.simulation.equality import judge_equality, uninterrupted
from smabot.testing.simulation.fill_probe import FillProbe
from smabot.testing.simulation.prices import FIRST_DAY, session_bars
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.schedule_result import Result
from smabot.testing.simulation.shares import split_of
from smabot.testing.simulation.world import World

SYMBOLS = ("AAA", "BBB")
SESSIONS = 3
MARKETS = 6
"""So many different markets are played on."""
COSTLY = frozenset({3, 4, 5})
"""The numbers of those where trading has costs."""
COSTS: Mapping[str, Any] = {
    "costs": "alpaca", "commission_per_share": Decimal("0.0075"), "commission_minimum": 1,
    "slippage_of_range": Decimal("0.1"),
}  # fmt: skip
"""What it costs there, by the settings of the exchange; a minimum makes the later fees of an order smaller."""
EX_DATE = FIRST_DAY + timedelta(days=1)
SPLITS: Mapping[int, SimulatedAction] = {
    1: SimulatedAction(split_of("AAA", 2, 1, EX_DATE)),
    2: SimulatedAction(split_of("BBB", 1, 10, EX_DATE), minutes_late=-900),
    4: SimulatedAction(split_of("AAA", 4, 3, EX_DATE), minutes_late=7),
}
"""Of the second session, by the numbers of those markets: the account follows in the night, in the evening before, and
after the open; the last one leaves parts of shares."""
DRAWDOWN = Decimal("0.03")
SETTINGS: dict[str, Any] = {
    "broker": "simulated",
    "base_plugins": ("reconciliation", "exchange"),
    "speed": "max",
    "sizing": {"method": "shares", "shares": 300},
    "plugin": {
        "risk": {
            "circuit_breaker": {
                "max_failures": 5, "max_session_drawdown": DRAWDOWN, "max_peak_drawdown": 0,
            },
            "daily_limits": {
                "max_order_notional": 0, "max_exposure_per_symbol": 0, "max_loss": 4_000,
                "max_orders": 15,
            },
        }
    },
}  # fmt: skip


class Setup:
    """Plays schedules with some plugins."""

    def __init__(
        self,
        plugins: Sequence[str] = ("risk",),
        faults: Sequence[str] = (),
        tables: Mapping[str, Any] | None = None,
        broker: str = "",
    ) -> None:
        """``plugins``: as ``--plugins`` names them; ``faults``: kinds of them, where not all; ``tables``: the
        plugins' settings, beside or instead of those here; ``broker``: the plugin whose broker and feed are played
        with; without: simulated ones.

        Raises ConfigError.
        """
        given = {**SETTINGS, "plugin": {**SETTINGS["plugin"], **(tables or {})}}
        if "risk" not in {name.partition(".")[0] for name in plugins}:
            given["plugin"] = dict(tables or {})
        if broker:
            given["base_plugins"] = (*SETTINGS["base_plugins"], broker)
        self.config = Config(**given, plugins=tuple(plugins))
        self._broker = broker
        self._plugins = Plugins.load(self.config)
        installed = discover(named_by(self.config))
        chosen = select(named_by(self.config), (), installed)
        own = ("exchange", broker)
        self._made_of = {n: load_plugin(n, installed[n]) for n in chosen if n not in own}
        self.draw = Draw(SYMBOLS, faults, served=bool(broker))
        self._markets: dict[int, SimulatedExchanges] = {}

    def play(self, schedule: Schedule) -> Result:
        """Play a schedule from the beginning."""
        logger.disable("")
        try:
            world = self.world(schedule)
            result = world.run()
            if schedule.compared and result.violation is None:
                whole = self.world(uninterrupted(schedule))
                whole.run()
                judge_equality(world, whole)
            return result
        finally:
            logger.enable("")

    @property
    def strategies(self) -> tuple[str, ...]:
        """The plugins that are strategies, without the actors beside them."""
        return tuple(name for name in self._made_of if "on_bar" in self._hooks_of(name))

    @property
    def hooks(self) -> frozenset[str]:
        """The hooks that some plugin has, one of these or one that plays beside them."""
        beside = {name for each in (Actor, FillProbe) for name in vars(each)}
        return frozenset(beside).union(*map(self._hooks_of, self._made_of))

    def _hooks_of(self, name: str) -> frozenset[str]:
        manager = self._plugins.manager
        callers = manager.get_hookcallers(manager.get_plugin(name))
        return frozenset(each.name for each in callers or ())

    def _client(self, machine: SimulatedMachine) -> SimulatedClient:
        return self._plugins.simulated_client(self.config, machine)

    def world(self, schedule: Schedule, database: Database | None = None) -> World:
        """Return the world of a schedule, at its beginning; without a database it is in memory."""
        exchange = self._market(schedule.seed % MARKETS).open()
        clients = self._client if self._broker else None
        return World(schedule, exchange, self.config, self._made_of, SYMBOLS, database, clients)

    def file_database(self, path: Path, plugin: str = "persistence_sqlite") -> FileDatabase:
        """Return a database of a journal's plugin in a file that is still to be made, or is there."""
        config = self.config.model_copy(update={"db": path})
        target = load_plugin(plugin, discover([plugin])[plugin])
        return FileDatabase(make_from(plugin, target, config, {}), config)

    def _market(self, number: int) -> SimulatedExchanges:
        if number not in self._markets:
            splits = [SPLITS[number]] if number in SPLITS else []
            bars = session_bars(number, SYMBOLS, SESSIONS, [each.action for each in splits])
            plugins = self._plugins if number not in COSTLY else self._costly
            self._markets[number] = plugins.simulated_exchanges(self.config, bars, splits)
        return self._markets[number]

    @cached_property
    def _costly(self) -> Plugins:
        """The plugins with an exchange that charges."""
        tables = self.config.plugin
        costs = {**tables, "exchange": {**COSTS, **tables.get("exchange", {})}}
        return Plugins.load(self.config.model_copy(update={"plugin": costs}))
