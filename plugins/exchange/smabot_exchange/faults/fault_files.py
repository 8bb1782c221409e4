"""Reading faults: from a TOML or JSON file, or from the body of a call."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from smabot.provider import ConfigError, listed, suggest
from smabot_exchange.faults.fault_bases import Fault
from smabot_exchange.faults.fault_kinds import KINDS


def read_faults(path: Path) -> tuple[int | None, list[Fault]]:
    """Return the seed and the faults of a TOML or JSON file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"faults {path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"faults {path}: is not UTF-8 text: {error.reason}") from error
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        form = "JSON" if path.suffix == ".json" else "TOML"
        raise ConfigError(f"faults {path}: is not {form}: {error}") from error
    return parse_faults(data, f"faults {path}")


def parse_faults(data: object, where: str = "faults") -> tuple[int | None, list[Fault]]:
    """Return seed and faults of ``{"seed": 7, "faults": [{"kind": "reset", …}, …]}``.

    A single fault does too, and the seed may be left out. Raises ConfigError that names the place and what was meant.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f'{where}: give {{"seed": 1, "faults": [{{"kind": "reset"}}]}}')
    if "kind" in data:
        return None, [_parse(data, where)]
    for key in data:
        if key not in ("seed", "faults"):
            raise ConfigError(
                f"{where}: unknown key {key!r}{suggest(str(key), ('seed', 'faults'))}; "
                "there are 'seed' and 'faults'"
            )
    seed, faults = data.get("seed"), data.get("faults", [])
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ConfigError(f"{where}: seed {seed!r} is not a whole number")
    if not isinstance(faults, Sequence) or isinstance(faults, str):
        raise ConfigError(f"{where}: 'faults' must be a list: in TOML one [[faults]] table each")
    return seed, [
        _parse(fault, f"{where}: fault {number}") for number, fault in enumerate(faults, start=1)
    ]


def _parse(data: object, where: str) -> Fault:
    if not isinstance(data, Mapping) or "kind" not in data:
        raise ConfigError(f"{where}: has no 'kind'; kinds are {listed(KINDS)}")
    kind = KINDS.get(str(data["kind"]))
    if kind is None:
        hint = suggest(str(data["kind"]), KINDS) or f"; kinds are {listed(KINDS)}"
        raise ConfigError(f"{where}: unknown kind {data['kind']!r}{hint}")
    fields = {str(key): value for key, value in data.items() if key != "kind"}
    for field in fields:
        if field not in kind.model_fields:
            known = kind.model_fields
            raise ConfigError(
                f"{where} ({kind.kind}): unknown field {field!r}{suggest(field, known)}; "
                f"fields are {', '.join(known)}"
            )
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            problem = f"{field} is missing"
        elif field:
            problem = f"{field} {first['input']!r}: {first['msg']}"
        else:
            problem = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where} ({kind.kind}): {problem}") from None
