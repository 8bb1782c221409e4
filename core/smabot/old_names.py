"""Names that modules had before they moved: they work until smabot 0.3, with a warning.

A table says where each is now. A finder behind all others answers imports of modules that are gone, so
that the names cost nothing until somebody uses one.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any, cast

from smabot.system.deprecation import OldName

REMOVED_IN = "0.3"

MODULES = {
    "bars": "domain.bar_checks",
    "blocks": "domain.blocks",
    "book": "domain.book",
    "calendar": "domain.calendar",
    "checks": "domain.risk_answers",
    "cli.sending": "cli.command_delivery",
    "cli.verbs": "cli.command_group",
    "commands": "engine.operator_commands",
    "config": "settings.model",
    "disagreement": "engine.reconciling.conflict",
    "discovery": "hooks.discovery",
    "doubt": "engine.reconciling.degraded",
    "engine.access": "engine.broker_access",
    "engine.comparison": "engine.reconciling.running_comparison",
    "engine.executor": "engine.execution.executor",
    "engine.marking": "engine.mark_to_market",
    "engine.ordering": "engine.execution.order_making",
    "engine.prices": "engine.price_requests",
    "engine.sessions": "engine.calendar_renewal",
    "engine.targets": "engine.execution.targets",
    "flattening": "engine.execution.flattening",
    "halts": "domain.halts",
    "handles": "system.descriptors",
    "hookspecs": "hooks.specifications",
    "in_place": "system.database_file",
    "inquiry": "engine.reconciling.broker_snapshot",
    "lock": "system.lock",
    "log": "system.log",
    "memory": "hooks.memory_journal",
    "pace": "system.pace",
    "paths": "system.paths",
    "plugin_book": "hooks.plugin_book",
    "plugins": "hooks.plugins",
    "ports": "hooks.ports",
    "printed": "hooks.plugin_output",
    "question": "system.background_query",
    "records": "domain.records",
    "recovery": "engine.start.recovery",
    "redaction": "system.redaction",
    "settings_errors": "settings.setting_errors",
    "settings_values": "settings.values",
    "sizing": "hooks.default_sizer",
    "stdio": "system.stdio",
    "tables": "domain.tables",
    "testing.bot": "testing.fake_bot",
    "testing.dispatching": "testing.scheduled_dispatcher",
    "testing.exchange": "testing.fake_exchange",
    "testing.killing": "testing.kill_points",
    "testing.machine": "testing.state_machine",
    "testing.market": "testing.faulty_connection",
    "undisturbed": "hooks.plugin_isolation",
    "valuation": "domain.valuation",
    "wall": "system.wall_clock",
    "write_ahead": "system.write_ahead_log",
}
"""Where the modules of 0.1 are that no longer stand where they did."""

NAMES = {
    "bars.bad_bar": "domain.bar_checks.bad_bar_event",
    "bars.flaw": "domain.bar_checks.bar_fault",
    "bars.is_sound": "domain.bar_checks.is_valid_bar",
    "bars.left_out": "domain.bar_checks.left_out_bar",
    "book.ASKED_FOR": "domain.book_view.ASKED_FOR",
    "book.EPOCH": "domain.book_view.EPOCH",
    "book.COLLAR": "domain.book_view.COLLAR",
    "book.Holding": "domain.records.Holding",
    "book.STALE": "domain.book_view.STALE",
    "checks.decode": "domain.risk_answers.read_checks",
    "checks.encode": "domain.risk_answers.checks_text",
    "discovery.check_hooks": "hooks.hook_checks.check_hooks",
    "disagreement.Disagreement": "engine.reconciling.conflict.ReconciliationConflict",
    "doubt.Doubt": "engine.reconciling.degraded.Degraded",
    "engine.marking.Marking": "engine.mark_to_market.MarkToMarket",
    "engine.prices.Prices": "engine.price_requests.PriceRequests",
    "engine.sessions.Sessions": "engine.calendar_renewal.CalendarRenewal",
    "engine.Engine": "engine.loop.Engine",
    "engine.Watcher": "engine.loop.Watcher",
    "errors.some": "errors.listed",
    "handles.Handle": "system.descriptors.FileHandle",
    "hookspecs.Finding": "hooks.findings.Finding",
    "hookspecs.Level": "hooks.findings.Level",
    **{
        f"hookspecs.{name}": f"hooks.recovery_answers.{name}"
        for name in ("Conflict", "Reconciliation", "Recovery", "RecoveryStep")
    },
    "in_place.Watch": "system.database_file.DatabaseWatch",
    "inquiry.Answers": "engine.reconciling.broker_snapshot.BrokerSnapshot",
    "inquiry.Inquiry": "engine.reconciling.broker_snapshot.SnapshotRequest",
    "lock.holder": "system.lock.lock_holder",
    "blocks.ignore": "domain.blocks.ignore_blocks",
    "blocks.require_guards": "domain.blocks.require_blocking_plugins",
    "recovery.Session": "engine.start.bot_session.BotSession",
    "recovery.Step": "engine.start.startup_report.StartupStep",
    "recovery.open_session": "engine.start.opening.open_session",
    "paths.are_one": "system.paths.is_same_file",
    "paths.check_only_name": "system.paths.refuse_hard_links",
    "paths.is_full": "system.paths.is_disk_full",
    "paths.is_there": "system.paths.file_exists",
    "ports.BulkBroker": "hooks.optional_ports.BulkBroker",
    "ports.PricedFeed": "hooks.optional_ports.PricedFeed",
    "question.Question": "system.background_query.BackgroundQuery",
    **{
        f"records.{name}": f"domain.order_terms.{name}"
        for name in ("OPEN", "OrderType", "RefusalCause", "Side", "Status", "TERMINAL", "TimeInForce")
    },
    **{
        f"records.{name}": f"domain.bot_records.{name}"
        for name in ("Block", "BotState", "Command", "Event", "HALT", "Run")
    },
    "records.Check": "domain.risk_answers.Check",
    "records.Veto": "domain.risk_answers.Veto",
    "redaction.register": "system.redaction.register_secret",
    **{
        f"settings.{name}": f"settings.loading.{name}"
        for name in ("Flag", "Loaded", "NOT_SETTINGS", "Origins", "SettingsOf", "Tree")
    },
    "settings.files_of": "settings.loading.files_of",
    "settings.load": "settings.loading.load",
    "settings.merge": "settings.loading.merge",
    **{
        f"engine.execution.{name}": f"engine.execution.next_action.{name}"
        for name in (
            "ACKNOWLEDGED", "Action", "Cancel", "DAY_ORDER_GRACE", "DOUBLINGS", "Done", "Enter",
            "Exit", "GiveUp", "PATIENCE", "Situation", "Wait", "lost", "timeout_of",
        )
    },
}  # fmt: skip
"""Names that are others today, and those of a module where a package stands now."""

PUBLIC = {
    "domain": "smabot.api or smabot.provider",
    "hooks": "smabot.api or smabot.provider",
    "settings.model": "smabot.api",
    "system": "smabot.provider",
    "errors": "smabot.api or smabot.provider",
    "cli.app": "smabot.api",
    "testing": "smabot.testing",
}
"""What a plugin is to use instead, by the part of core that has the name today."""

_told: set[tuple[str, str]] = set()


def answer(module: str, name: str) -> Any:
    """Return what an old name of a module, or of a package where one stood, means today.

    Raises AttributeError for any other name.
    """
    key = f"{module}.{name}".removeprefix("smabot.")
    if key in NAMES:
        where, _, renamed = NAMES[key].rpartition(".")
        _warn(f"smabot.{key}", where, sys._getframe(2))
        return getattr(import_module(f"smabot.{where}"), renamed)
    if key in MODULES:
        return import_module(f"smabot.{key}")
    raise AttributeError(f"module '{module}' has no attribute '{name}'")


def remedy(where: str) -> str:
    """Say what to use instead of what is in a module of core today, and until when the old name works."""
    public = PUBLIC.get(where) or PUBLIC.get(where.partition(".")[0])
    return f"smabot {REMOVED_IN} removes it: use {public or f'smabot.{where}, which no version promises'}"


def spec_of(name: str) -> ModuleSpec | None:
    """Return how an old module is loaded, or None where there never was one."""
    if name.removeprefix("smabot.") not in MODULES:
        return None
    return ModuleSpec(name, cast(Any, _Loader), origin="moved")


class _OldModule(ModuleType):
    """A module that is elsewhere today: reads what is there."""

    def __getattr__(self, name: str) -> Any:
        old = self.__name__.removeprefix("smabot.")
        if name == "__all__":
            renamed_here = [
                key.rpartition(".")[2] for key in NAMES if key.rpartition(".")[0] == old
            ]
            return [*(each for each in dir(self) if not each.startswith("_")), *renamed_here]
        where, _, renamed = NAMES.get(f"{old}.{name}", f"{MODULES[old]}.{name}").rpartition(".")
        value = getattr(import_module(f"smabot.{where}"), renamed)
        if not name.startswith("__"):
            _warn(self.__name__, where, sys._getframe(1))
        return value

    def __dir__(self) -> list[str]:
        return dir(_new(self))


class _Loader:
    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return _OldModule(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        _new(module)


def _new(old: ModuleType) -> ModuleType:
    return import_module(f"smabot.{MODULES[old.__name__.removeprefix('smabot.')]}")


def _warn(old: str, where: str, caller: FrameType | None) -> None:
    """Tell whoever uses an old name, each package once."""
    while caller is not None and caller.f_globals.get("__name__", "").startswith("importlib"):
        caller = caller.f_back
    user = caller.f_globals.get("__name__", "?") if caller is not None else "?"
    key = (user.partition(".")[0], old)
    if key in _told:
        return
    _told.add(key)
    if caller is not None:
        code, line = caller.f_code, caller.f_lineno
        said = OldName(user, old, remedy(where))
        warnings.warn_explicit(said, OldName, code.co_filename, line, module=user)
