"""What is wrong with a plugin's answer, and whose fault an error is, in one line."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType

from smabot.domain.equity_bounds import EquityBounds
from smabot.domain.records import OrderIntent
from smabot.domain.risk_answers import Veto
from smabot.errors import PluginFault, SmabotError
from smabot.hooks.recovery_answers import Reconciliation, RecoveryStep

ANSWERS: dict[str, tuple[type, ...]] = {
    "records": (Sequence,),
    "lookback": (int,),
    "on_startup_recover": (RecoveryStep,),
    "on_signal": (OrderIntent,),
    "on_equity": (EquityBounds,),
    "before_submit": (Veto, list),
    "may_leave": (Veto,),
    "receivers": (Sequence,),
    "after_commit": (str,),
    "on_command": (str,),
    "describe": (tuple,),
    "diagnose": (Sequence,),
    "reconcile": (Reconciliation,),
    "account_files": (Sequence,),
    "open_journal": (object,),
    "open_rows": (object,),
    "open_broker": (object,),
    "open_feed": (object,),
    "simulated_exchanges": (object,),
    "simulated_client": (object,),
}
"""What the answer of a hook may be besides None; nothing where the hook is not here."""


def is_answer(hook: str, answer: object) -> bool:
    """Whether a hook may answer so; None always may."""
    return answer is None or isinstance(answer, ANSWERS.get(hook, NoneType))


def fault(name: str, hook: str, answer: object) -> PluginFault:
    """Return the line about an answer that no plugin may give."""
    if inspect.iscoroutine(answer):
        answer.close()
    kinds = " or ".join(kind.__name__ for kind in ANSWERS.get(hook, ()))
    kinds = "a Veto, a list of Check," if hook == "before_submit" else kinds
    may = f"it must return {kinds} or None" if kinds else "nothing is done with an answer"
    return PluginFault(f"plugin '{name}': {hook} answered {shown(answer)}: {may}")


def shown(answer: object) -> str:
    text = repr(answer)
    return text if len(text) <= 200 else text[:200] + "…"


def missing_member(port: type, opened: object) -> str:
    """Return a name that a protocol asks for and an object does not have; empty: it has all."""
    return next((name for name in _members(port) if not hasattr(opened, name)), "")


@cache
def _members(port: type) -> tuple[str, ...]:
    bases = [base for base in port.__mro__ if getattr(base, "_is_protocol", False)]
    return tuple(name for base in bases for name in vars(base) if not name.startswith("_"))


def named(name: str, error: SmabotError) -> SmabotError:
    """Return an error, its line with the plugin's name."""
    text = str(error)
    if f"plugin '{name}'" in text:
        return error
    error.args = (f"plugin '{name}': {text}",)
    return error


def culprit(error: BaseException, packages: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the plugin in whose code an error was raised, and the function there.

    ``packages``: the plugins' names by their modules.
    """
    found, trace = None, error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        alike = [name for of, name in packages.items() if _package(of) == _package(module)]
        if alike:
            found = packages.get(module, alike[0]), trace.tb_frame.f_code.co_qualname
        trace = trace.tb_next
    return found


def _package(module: str) -> str:
    """Return the outermost package of a module; a plugin's file is one of its own."""
    return module if module.endswith(".py") else module.split(".")[0]
