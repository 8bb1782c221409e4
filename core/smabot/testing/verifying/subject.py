"""The plugin that is verified: what it is, with which settings, and on which markets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from smabot.hooks.discovery import discover, load_plugin, make_from, select
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.in_process_bot import Bot
from smabot.testing.verifying.generated_markets import Market, generated_markets
from smabot.testing.verifying.plugin_checks import Role, roles_of
from smabot.testing.verifying.probe_plugins import PROBES

MOST_KILLS = 100
"""States that are tried of each market, unless all of them are asked for."""


@dataclass(frozen=True)
class Subject:
    """One plugin under its checks."""

    name: str
    reference: str
    """As it was named: a plugin's name, or the path of a file."""
    target: Any
    """Its class or module."""
    config: Config
    origins: Mapping[str, str] = field(default_factory=dict)
    own_bars: tuple[Market, ...] = ()
    """The author's own data, in place of generated markets."""
    case: str = ""
    """The only case to try; empty: all."""
    thorough: bool = False
    folder: Path = Path()
    """Where a check may write."""

    @cached_property
    def hooks(self) -> frozenset[str]:
        plugins = Plugins()
        plugin = make_from(self.name, self.target, self.config, self.origins)
        plugins.register(self.name, plugin)
        return frozenset(each.name for each in plugins.manager.get_hookcallers(plugin) or ())

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        return roles_of(self.hooks)

    @cached_property
    def lookback(self) -> int:
        """How many bars of each symbol it says it needs."""
        plugins = Plugins()
        plugins.register(self.name, make_from(self.name, self.target, self.config, self.origins))
        return max(plugins.lookback(), 2)

    @property
    def most_kills(self) -> int | None:
        return None if self.thorough else MOST_KILLS

    def markets(self) -> Iterator[Market]:
        """Yield the markets of the cases to try."""
        falling = Role.RULE in self.roles
        wanted = self.case.partition("/")[0]
        found = self.own_bars or generated_markets(
            self.lookback, self.config.symbols, falling=falling
        )
        yield from (market for market in found if wanted in ("", market.name))

    @property
    def boundaries(self) -> tuple[int, ...]:
        """The boundaries that the case names, as `gaps/43.28`; empty: none."""
        named = self.case.partition("/")[2]
        return tuple(map(int, named.split("."))) if named else ()

    def bot(self, market: Market) -> Bot:
        """Return a bot with the plugin over a market; probes trade where it is no strategy."""
        plugins: list[tuple[str, Any]] = [(self.name, self.target)]
        settings = {name: getattr(self.config, name) for name in self.config.model_fields_set}
        settings["broker"] = "fake"
        if Role.STRATEGY not in self.roles:
            plugins += PROBES
            settings.setdefault("sizing", {"shares": 150})
        return Bot(plugins, market.bars, settings, sessions=market.sessions)


def subjects(
    names: Sequence[str], config: Config, tailor: Callable[[Subject], Subject] = lambda it: it
) -> list[Subject]:
    """Return the plugins that names, prefixes and paths of files mean.

    Raises ConfigError for one that is unknown or can't be imported.
    """
    installed = discover(names)
    found = []
    for reference in names:
        for name in select([reference], (), installed):
            target = load_plugin(name, installed[name])
            found.append(tailor(Subject(name, reference, target, config)))
    return found
