"""Worker processes that end with the process which they work for, however that ends."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """Let this process end when its parent has: a pool's workers would wait for ever for one that was killed.

    For the initializer of a pool; no effect in a process that is nobody's worker.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
