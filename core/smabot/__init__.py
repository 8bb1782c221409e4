"""smabot: a crash-safe trading bot."""

from __future__ import annotations

import sys
from time import perf_counter

__version__ = "0.1.0"
BEGUN = perf_counter()
"""When this process began to load smabot: time to ready is counted from here."""


class _Moved:
    """Finds modules by the names they had before; asked last, and costs nothing before that."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> object:
        if not name.startswith("smabot."):
            return None
        from smabot.old_names import spec_of

        return spec_of(name)


sys.meta_path.append(_Moved)  # type: ignore[arg-type]


def __getattr__(name: str) -> object:
    from smabot.old_names import answer

    return answer(__name__, name)
