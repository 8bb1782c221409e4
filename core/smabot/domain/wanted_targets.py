"""What each strategy wants to hold, and which of that is not so yet."""

from __future__ import annotations

from smabot.domain.records import Holding, SignalState


class WantedTargets:
    """The last signal of each holding, and those that are not settled."""

    def __init__(self) -> None:
        self.signals: dict[Holding, SignalState] = {}
        self.unsettled: dict[str, dict[str, SignalState]] = {}
        """By symbol and strategy: a missed signal, or flat where something is held or open."""

    def note_position(self, holding: Holding, *, exposed: bool) -> None:
        """Note whether a holding's target is what is held; ``exposed``: it has shares or an open order."""
        state = self.signals.get(holding)
        if state is None:
            return
        strategies = self.unsettled.setdefault(state.symbol, {})
        if state.missed or (state.target == 0 and exposed):
            strategies[state.strategy] = state
        else:
            strategies.pop(state.strategy, None)
            if not strategies:
                del self.unsettled[state.symbol]
