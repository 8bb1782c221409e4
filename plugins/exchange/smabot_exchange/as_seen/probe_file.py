"""The file that `smabot alpaca probe` writes, as far as the exchange plays it back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from smabot.provider import ConfigError
from smabot_exchange.as_seen.behaviours import AsSeen

VERSION = 1


@dataclass(frozen=True, slots=True)
class ProbeFile:
    """``as_seen`` is played back; ``left_out`` are the assumptions, like ``17 …``, that differed and can't be."""

    as_seen: AsSeen = field(default_factory=AsSeen)
    left_out: tuple[str, ...] = ()
    source: str = ""
    """When and where it was probed."""


def read_probe(path: Path) -> ProbeFile:
    """Return what a file says. Raises ConfigError where it can't be read, or has what is unknown here."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--as {path}: can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--as {path}: is not JSON: {error}") from error
    version = document.get("smabot_probe") if isinstance(document, dict) else None
    if version != VERSION:
        raise ConfigError(
            f"--as {path}: is no file of `smabot alpaca probe` of this version; probe again"
        )
    try:
        as_seen = AsSeen(**document["as_seen"])
        left_out = tuple(
            f"{each['number']} {each['assumption']}"
            for each in document["assumptions"]
            if each["result"] == "differs" and not each["played_back"]
        )
        source = f"{document['host']}, {document['time']}"
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"--as {path}: as_seen.{place}: {first['msg']}") from None
    except (KeyError, TypeError) as error:
        raise ConfigError(f"--as {path}: is incomplete: {error}; probe again") from error
    return ProbeFile(as_seen, left_out, source)
