"""Worker processes that end with the process which they work for, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any


class WorkerPool(ProcessPoolExecutor):
    """A pool whose workers neither Ctrl-C nor SIGTERM reaches: whoever made it decides when they end."""

    def submit(self, *call: Any, **named: Any) -> Future[Any]:
        """See `ProcessPoolExecutor.submit`. A worker that it starts inherits what is blocked here."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return super().submit(*call, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def worker_pool(
    jobs: int, begin: Callable[..., None] | None = None, *given: Any
) -> Iterator[WorkerPool]:
    """Yield a pool, each of whose workers first calls ``begin`` with what is given.

    When the body ends, by whatever cause, they end too, also in the midst of their work.
    """
    others = set(active_children())
    pool = WorkerPool(jobs, get_context("spawn"), _begin, (begin, given))
    try:
        yield pool
    finally:
        for worker in set(active_children()) - others:
            worker.kill()  # SIGTERM does not reach it
        pool.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    if begin is not None:
        begin(*given)


def _follow(parent: BaseProcess) -> None:
    """End this process when its parent has: it would wait for ever for one that was killed."""
    parent.join()
    os._exit(1)
