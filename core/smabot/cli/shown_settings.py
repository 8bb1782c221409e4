"""The settings in force as screens and reports show them: the plugins' defaults filled in, secrets masked."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from smabot.system.redaction import MASK, is_secret, redact, texts

if TYPE_CHECKING:
    from smabot.settings.loading import Loaded


def setting_text(value: Any) -> str:
    """Return a setting's value for a reader."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def shown_settings(loaded: Loaded, sound: Collection[str]) -> dict[str, Any]:
    """Return every dotted key with its value as JSON has it, secrets masked.

    ``sound`` are the plugins that can be loaded: their tables have their defaults, too. Those of others
    are as set, and masked, as any of their values may be a secret.
    """
    shown = loaded.shown(_tables(loaded, sound))
    return {dotted: _without_credentials(value) for dotted, value in shown.items()}


def _without_credentials(value: Any) -> Any:
    """Return a value with what looks like a credential masked, however deep it lies in lists and tables."""
    if isinstance(value, dict):
        return {
            name: MASK if is_secret(name) and texts(each) else _without_credentials(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_credentials(each) for each in value]
    return redact(value) if isinstance(value, str) else value


def _tables(loaded: Loaded, sound: Collection[str]) -> dict[str, Any]:
    from smabot.hooks.discovery import discover, named_by, settings_found

    tables = _masked(None, loaded.config.plugin)
    for name, points in discover(named_by(loaded.config)).items():
        values = loaded.config.table(name)
        if not values and name not in sound:
            continue
        model = settings_found(name, points)
        if model is not None and name in sound:
            values = model.model_validate(values).model_dump(mode="json")
        if values:
            _put(tables, name, _masked(model, values))
    return tables


def _put(tables: dict[str, Any], name: str, values: dict[str, Any]) -> None:
    *path, last = name.split(".")
    for part in path:
        tables[part] = dict(tables.get(part, {}))
        tables = tables[part]
    tables[last] = values


def _masked(model: Any, values: dict[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a table with the values of declared secrets masked; without a model any may be one."""
    from smabot.settings.values import holds_secret

    masked = dict(values)
    for name, value in values.items():
        secret = model is None or holds_secret(model, (*path, name))
        if isinstance(value, dict):
            masked[name] = _masked(model, value, (*path, name))
        elif secret and value not in (None, "") and not isinstance(value, bool):
            masked[name] = MASK
    return masked
