"""One line for each wrong setting: where it is set, its key and value, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from smabot.errors import ConfigError, listed, suggest
from smabot.settings.values import holds_secret
from smabot.system.redaction import MASK, is_secret, texts

PREFIX = "SMABOT_"

_LIST = 'must be a list, as in ["A", "B"]'
_MUST_BE = {
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": "must be text in quotes",
    "path_type": "must be text in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
}


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of every leaf."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def plugin_settings_error(
    name: str,
    error: ValidationError,
    origins: Mapping[str, str],
    model: type[BaseModel] | None = None,
) -> ConfigError:
    """Return the one line that says what is wrong in a plugin's settings table.

    With ``model``, an unknown key gets a suggestion.
    """
    return settings_error(error, origins, model, f"plugin.{name}")


def settings_error(
    error: ValidationError,
    origins: Mapping[str, str],
    model: type[BaseModel] | None,
    prefix: str = "",
) -> ConfigError:
    """Return the one line for a failed validation; ``prefix`` is the dotted key of its table."""
    problems: dict[str, tuple[str, list[str]]] = {}
    for each in cast(list[dict[str, Any]], error.errors(include_url=False)):
        key, index = _key_of(each, origins, prefix)
        origin = _origin_of(key, origins)
        if each["type"] == "extra_forbidden":
            head, what = f"{origin}: ", unknown_setting(key, model, prefix)
        elif each["type"] == "missing":
            variable = PREFIX + key.upper().replace(".", "__")
            head = "settings: "
            what = (
                f"{key} is missing: set it in [default.{key.rpartition('.')[0]}] or as {variable}"
            )
        else:
            # Masked here, as the Redactor takes what follows a secret's name for the secret.
            secret = is_secret(key, origin) or _declared(model, key, prefix)
            value = f" = '{MASK}'" if secret else _shown(each["input"])
            head, what = f"{origin}: {key}{index}{value}: ", _what(each, origin)
        for text in _secrets_in(each["input"], key, origins, model, prefix):
            what = what.replace(text, MASK)
        problems.setdefault(key, (head, []))[1].append(what)
    (head, needs), *others = problems.values()
    said = " or ".join(dict.fromkeys(needs)).replace(" or must be ", " or ")
    more = f" (and {len(others)} more)" if others else ""
    return ConfigError(" ".join(f"{head}{said}{more}".split()))


def unknown_setting(key: str, model: type[BaseModel] | None, prefix: str = "") -> str:
    """Say that a key is unknown, with the known one that is near, or all that are known there."""
    fields = _fields(model)
    *tables, name = key.removeprefix(f"{prefix}.").split(".")
    for table in tables:
        fields = _fields(fields[table].annotation) if table in fields else {}
    above = key.removesuffix(name)
    hint = suggest(name, fields).replace("'", f"'{above}", 1)
    known = "" if hint or not fields else f"; known here are: {listed(fields)}"
    return f"unknown setting '{key}'{hint}{known}"


def _fields(model: Any) -> Mapping[str, Any]:
    return model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}


def _key_of(problem: Mapping[str, Any], origins: Mapping[str, str], prefix: str) -> tuple[str, str]:
    """Return the dotted key and the index in its list; pydantic's path goes on with union tags."""
    key = prefix
    for part in problem["loc"]:
        if isinstance(part, int):
            return key, f"[{part}]"
        longer = f"{key}.{part}" if key else part
        known = longer in origins or any(each.startswith(longer + ".") for each in origins)
        if not known and problem["type"] not in ("missing", "extra_forbidden"):
            break
        key = longer
    return key, ""


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    within = [origin for each, origin in origins.items() if each.startswith(key + ".")]
    return origins.get(key) or ", ".join(dict.fromkeys(within)) or "settings"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | BaseModel):
        return ""
    shown = repr(value) if isinstance(value, str | list | tuple) else str(value)
    return f" = {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _what(problem: Mapping[str, Any], origin: str) -> str:
    kind = problem["type"]
    if kind in ("string_type", "path_type") and origin.startswith(PREFIX):
        return f"must be text: quote it within, {origin}='\"{problem['input']}\"'"
    message = _MUST_BE.get(kind) or str(problem["msg"])
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should be", "must be")


def _declared(model: type[BaseModel] | None, key: str, prefix: str) -> bool:
    return holds_secret(model, key.removeprefix(f"{prefix}.").split("."))


def _secrets_in(
    value: Any, key: str, origins: Mapping[str, str], model: type[BaseModel] | None, prefix: str
) -> list[str]:
    leaves = flat(value, key + ".") if isinstance(value, Mapping) else [(key, value)]
    return [
        text
        for dotted, leaf in leaves
        if is_secret(dotted, origins.get(dotted, "")) or _declared(model, dotted, prefix)
        for text in texts(leaf)
    ]
