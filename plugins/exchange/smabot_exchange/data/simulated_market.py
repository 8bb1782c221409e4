"""The simulated market: seeded minute bars with the shape of a real trading day.

A symbol's bars on a date are a function of the seed, the symbol and the date alone, so that asking
for more symbols or more sessions never changes those one already has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smabot.provider import ZERO, Bar, ConfigError, suggest
from smabot_exchange.data.corporate_actions import ListedAction, in_order
from smabot_exchange.data.simulated_splits import SimulatedSplit, split_ratios
from smabot_exchange.data.simulated_symbols import KNOWN_SYMBOLS, MOST_SYMBOLS, simulated_symbols
from smabot_exchange.data.split_bars import split_bar

if TYPE_CHECKING:
    from smabot_exchange.data.random_market import RandomMarket
    from smabot_exchange.data.wave_market import WaveMarket

RANDOM, WAVES = "random", "waves"
_VERSIONS = {WAVES: 1, RANDOM: 2}
"""Part of the fingerprint: a change of a shape's bars makes another market."""
_SETTINGS = ("symbols", "sessions", "seed", "start", "shape", "split")
MOST_SESSIONS = 2_520
_YEARS = (1900, 2200)
_SIGNATURE = re.compile(
    r"made (\d+) symbols=(\d+) sessions=(\d+) seed=(-?\d+) start=(\S+)((?: split=\S+)*)"
)


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """``symbols`` symbols over ``sessions`` regular sessions from ``start`` on.

    ``shape`` is ``random``, prices that nobody can foretell, or ``waves``, on which a moving average wins.
    """

    symbols: int = len(KNOWN_SYMBOLS)
    sessions: int = 2
    seed: int = 1
    start: date = date(2026, 3, 2)
    shape: str = RANDOM
    unnamed: frozenset[str] = frozenset()
    """Settings that the description left out: those that may follow a ledger follow it."""

    splits: tuple[SimulatedSplit, ...] = ()
    today: bool = False
    """Whether it starts where it does because of the day on which it was opened."""

    label = "simulated market"
    stored_label = "made market"

    @classmethod
    def parse(cls, spec: str) -> SimulatedMarket:
        """Read ``simulated`` or ``simulated:symbols=50,sessions=3,seed=7,start=2026-03-02,shape=waves``.

        Raises ConfigError on anything else.
        """
        settings: dict[str, str] = {}
        splits: list[SimulatedSplit] = []
        for part in filter(None, spec.removeprefix("simulated").removeprefix(":").split(",")):
            name, equals, text = (piece.strip() for piece in part.partition("="))
            if name not in _SETTINGS:
                raise _wrong(spec, f"unknown setting {name!r}{suggest(name, _SETTINGS)}")
            if name == "split":
                try:
                    splits.append(SimulatedSplit.parse(text))
                except ValueError as error:
                    raise _wrong(spec, f"split {error}") from None
                continue
            if not equals or name in settings:
                raise _wrong(spec, f"{name!r} must be given once, as {name}=VALUE")
            settings[name] = text
        unnamed = frozenset(_SETTINGS).difference(settings, ["split"] if splits else [])
        shape = settings.pop("shape", RANDOM)
        if shape not in _VERSIONS:
            raise _wrong(spec, f"shape must be {RANDOM} or {WAVES}{suggest(shape, _VERSIONS)}")
        try:
            start = date.fromisoformat(settings.pop("start", cls().start.isoformat()))
        except ValueError:
            raise _wrong(spec, "start must be a date like 2026-03-02") from None
        try:
            numbers: dict[str, Any] = {name: _whole(text) for name, text in settings.items()}
        except ValueError:
            raise _wrong(spec, "symbols, sessions and seed must be whole numbers") from None
        market = cls(
            **numbers, start=start, shape=shape, unnamed=unnamed, splits=tuple(sorted(splits))
        )
        if not 1 <= market.symbols <= MOST_SYMBOLS:
            raise _wrong(spec, f"symbols must be 1 to {MOST_SYMBOLS}")
        if not _YEARS[0] <= market.start.year <= _YEARS[1]:
            raise _wrong(spec, f"start must be in {_YEARS[0]} to {_YEARS[1]}")
        if not 1 <= market.sessions <= MOST_SESSIONS:
            raise _wrong(spec, f"sessions must be 1 to {MOST_SESSIONS}")
        names = simulated_symbols(market.symbols)
        for split in splits:
            if split.symbol not in names:
                raise _wrong(
                    spec, f"split: no symbol {split.symbol!r} in it{suggest(split.symbol, names)}"
                )
        if len({(split.symbol, split.ex_date) for split in splits}) < len(splits):
            raise _wrong(spec, "a symbol can be split once a day")
        return market

    @property
    def half_spread(self) -> Decimal:
        """What a new account pays for each share at a fill unless its settings say otherwise."""
        return Decimal("0.01") if self.shape == RANDOM else ZERO

    def signature(self) -> str:
        """Return all that decides the bars."""
        return (
            f"made {_VERSIONS[self.shape]} symbols={self.symbols} sessions={self.sessions} "
            f"seed={self.seed} start={self.start}"
        ) + "".join(f" split={split}" for split in self.splits)

    def fingerprint(self) -> str:
        """Return the same: a simulated market has no contents but its description."""
        return self.signature()

    def continuing(self, signature: str) -> SimulatedMarket:
        """Return the market as a ledger with that signature goes on with it.

        A shape that is not named is the ledger's, and so are the sessions where the ledger has more.
        """
        stored = stored_market(signature)
        if stored is None:
            return self
        market = self
        if "shape" in self.unnamed:
            market = replace(market, shape=stored.shape)
        if "split" in self.unnamed:
            market = replace(market, splits=stored.splits)
        if self.today:
            market = replace(market, start=stored.start)
        if "sessions" in self.unnamed and stored.sessions > self.sessions:
            market = replace(market, sessions=stored.sessions)
        return market

    def with_past(self, history: int, today: date | None) -> SimulatedMarket:
        """Return the market with so many more sessions, at its begin, as far as its description leaves that
        open.

        With ``today`` the sessions after those begin on that day.
        """
        from smabot_exchange.data.sessions import sessions_before

        market = self
        if history and "sessions" in self.unnamed:
            market = replace(market, sessions=self.sessions + history)
        if today is not None and "start" in self.unnamed:
            market = replace(market, start=sessions_before(today, history), today=True)
        return market

    def longer(self) -> str:
        """Return what to give as ``--data`` for more sessions after the last one."""
        more = replace(self, sessions=min(self.sessions * 2, MOST_SESSIONS))
        usual = SimulatedMarket(sessions=0)
        given = (
            f"{name}={getattr(more, name)}"
            for name in ("symbols", "sessions", "seed", "start")
            if getattr(more, name) != getattr(usual, name)
        )
        return f"simulated:{','.join([*given, *self._split_settings()])}"

    def describe(self) -> str:
        """Return the whole description, as `parse` reads it."""
        settings = [f"{name}={getattr(self, name)}" for name in _SETTINGS if name != "split"]
        return f"simulated:{','.join([*settings, *self._split_settings()])}"

    def _split_settings(self) -> list[str]:
        return [f"split={split}" for split in self.splits]

    def cannot_extend(self, signature: str) -> str:
        """Return why this is not the market of that signature with more sessions; empty where it is."""
        stored = stored_market(signature)
        if stored is None:
            return "it was no simulated market"
        if replace(stored, sessions=self.sessions).signature() != self.signature():
            return f"it was {stored.describe()}, this is {self.describe()}"
        if stored.sessions > self.sessions:
            return f"it has {stored.sessions} sessions already, this has {self.sessions}"
        return ""

    def bars(self) -> Iterator[Bar]:
        """Yield the bars a minute at a time, sorted by symbol within it."""
        from smabot_exchange.data.sessions import first_sessions

        symbols = sorted(simulated_symbols(self.symbols))
        shape = self._shape(symbols)
        for session in first_sessions(self.start, self.sessions):
            ratios = split_ratios(self.splits, session.date)
            for minute in zip(*shape.session(session), strict=True):
                if not ratios:
                    yield from minute
                    continue
                for bar in minute:
                    ratio = ratios.get(bar.symbol)
                    yield bar if ratio is None else split_bar(bar, ratio)

    def actions(self) -> tuple[ListedAction, ...]:
        """Return its splits."""
        return in_order(split.listed() for split in self.splits)

    def _shape(self, symbols: list[str]) -> RandomMarket | WaveMarket:
        if self.shape == WAVES:
            from smabot_exchange.data.wave_market import WaveMarket

            return WaveMarket(self.seed, symbols)
        from smabot_exchange.data.random_market import RandomMarket

        return RandomMarket(self.seed, symbols, self.start)


def stored_market(signature: str) -> SimulatedMarket | None:
    """Return the market that a signature describes; None where it is of something else."""
    found = _SIGNATURE.fullmatch(signature)
    shapes = {str(version): shape for shape, version in _VERSIONS.items()}
    if found is None or found[1] not in shapes:
        return None
    symbols, sessions, seed = (int(found[number]) for number in (2, 3, 4))
    splits = tuple(SimulatedSplit.parse(text) for text in found[6].split(" split=")[1:])
    return SimulatedMarket(
        symbols, sessions, seed, date.fromisoformat(found[5]), shapes[found[1]], splits=splits
    )


def _whole(text: str) -> int:
    """Return a whole number. Raises ValueError for what only Python takes for one, as 1_000."""
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _wrong(spec: str, reason: str) -> ConfigError:
    return ConfigError(
        f"data {spec!r}: {reason}; write simulated or simulated:symbols=50,sessions=3,seed=7,start=2026-03-02"
    )
