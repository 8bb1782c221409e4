"""The plugin that is verified: what it is, with which settings, and on which markets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

from smabot.errors import ConfigError, suggest
from smabot.hooks.discovery import discover, load_plugin, make_from, select
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.in_process_bot import Bot
from smabot.testing.verifying.check_progress import CheckProgress, affordable, minutes_of_kill
from smabot.testing.verifying.generated_markets import SYMBOLS, Market, generated_markets
from smabot.testing.verifying.module_state import ModuleState
from smabot.testing.verifying.plugin_roles import Role, roles_of
from smabot.testing.verifying.probe_plugins import PROBES
from smabot.testing.verifying.trial_rows import TrialRows

MOST_KILLS = 60
"""States that are tried of each market at most, unless all of them are asked for."""


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
    """Spans of the author's own data, beside the generated markets."""
    data: str = ""
    """The file or folder that they come from; empty: none."""
    case: str = ""
    """The only case to try; empty: all."""
    thorough: bool = False
    options: str = ""
    """Options of the command line that a replay needs, as typed."""
    may_send: bool = False
    """Whether a broker's checks may send orders."""
    progress: CheckProgress = field(default_factory=CheckProgress, compare=False)
    within: Path | None = None
    """Where a check may write; None: a folder of its own, for as long as it is needed."""

    @cached_property
    def folder(self) -> Path:
        """A folder for this trial."""
        made = mkdtemp(prefix=f"{self.name}-", dir=self.within)
        finalize(self, rmtree, made, ignore_errors=True)
        return Path(made)

    def alone(self, *, with_trial_rows: bool = False) -> Plugins:
        """Return the plugin, made anew, as the only one of a run; or beside the rows of a trial."""
        plugins = Plugins()
        made = make_from(self.name, self.target, self.config, self.origins)
        plugins.register(self.name, made)
        if with_trial_rows:
            plugins.register("trial", TrialRows())
        plugins.check()
        return plugins

    def over(self, name: str, **settings: Any) -> Config:
        """Return the settings with a database of that name in the folder of the trial."""
        return self.config.model_copy(update={"db": self.folder / f"{name}.db", **settings})

    def described(self, config: Config) -> dict[str, Any]:
        """Return what another process makes the same of, by `from_description`."""
        settings = config.model_dump(mode="json", exclude_unset=True)
        return {"reference": self.reference, "name": self.name, "settings": settings}

    def written(self, name: str, content: bytes) -> Path:
        """Write a file in the folder of the trial, for another process."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    @cached_property
    def modules(self) -> ModuleState:
        """What its modules held before it ran."""
        return ModuleState(self.target)

    @cached_property
    def hooks(self) -> frozenset[str]:
        manager = self.alone().manager
        callers = manager.get_hookcallers(manager.get_plugin(self.name))
        return frozenset(each.name for each in callers or ())

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        return roles_of(self.hooks)

    @cached_property
    def lookback(self) -> int:
        """How many bars of each symbol it says it needs."""
        return max(self.alone().lookback(), 2)

    @property
    def names_lookback(self) -> bool:
        """Whether it says how many bars it needs."""
        return "lookback" in self.hooks

    def most_kills(self, market: Market) -> int | None:
        """Return how many states of a market are tried; None: all."""
        if self.thorough:
            return None
        return affordable(MOST_KILLS, minutes_of_kill(market, self.lookback))

    def markets(self) -> list[Market]:
        """Return the markets of the cases to try. Raises ConfigError where the case names none."""
        falling = Role.RULE in self.roles
        wanted = self.case.partition("/")[0]
        own = sorted({bar.symbol for market in self.own_bars for bar in market.bars})
        symbols = self.config.symbols or tuple(dict.fromkeys([*own, *SYMBOLS]))
        found = [*generated_markets(self.lookback, symbols, falling=falling), *self.own_bars]
        chosen = [market for market in found if wanted in ("", market.name)]
        if not chosen:
            known = [market.name for market in found]
            raise ConfigError(
                f"no market '{wanted}'{suggest(wanted, known)}; there are: {', '.join(known)}"
            )
        return chosen

    def check_case(self) -> None:
        """Raise ConfigError where the case names nothing that there is."""
        if self.case:
            self.markets()
            self.boundaries  # noqa: B018 - it raises

    @property
    def boundaries(self) -> tuple[int, ...]:
        """The boundaries that the case names, as `gaps/43.28`; empty: none.

        Raises ConfigError where they are no numbers.
        """
        named = self.case.partition("/")[2]
        if not re.fullmatch(r"(\d+(\.\d+)*)?", named):
            raise ConfigError(
                f"--case {self.case}: write a case as a failed check shows it, as waves/43.28"
            )
        return tuple(map(int, named.split("."))) if named else ()

    def bot(self, market: Market, probes: Sequence[tuple[str, type]] = PROBES) -> Bot:
        """Return a bot with the plugin over a market; probes trade where it is no strategy."""
        plugins: list[tuple[str, Any]] = [(self.name, self.target)]
        settings = {name: getattr(self.config, name) for name in self.config.model_fields_set}
        there = {bar.symbol for bar in market.bars}
        settings["symbols"] = [each for each in self.config.symbols if each in there]
        settings["broker"] = "fake"
        if Role.STRATEGY not in self.roles:
            plugins += probes
            settings.setdefault("sizing", {"shares": 100})
        return Bot(
            plugins, market.bars, settings, sessions=market.sessions,
            each_process=self.modules.restore,
        )  # fmt: skip


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


def from_description(described: Mapping[str, Any]) -> Subject:
    """Return the subject that another process described."""
    config = Config.model_validate(described["settings"])
    found = subjects([described["reference"]], config)
    return next(each for each in found if each.name == described["name"])
