"""A pool's workers end with the process that they work for, also where that is killed or interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path

import pytest

from smabot.system.worker_processes import worker_pool

SCRIPT = """
import os, time
from smabot.system.worker_processes import worker_pool

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_ends_with_its_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "pool.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = Path("/proc", parent.stdout.readline().strip(), "stat")
        assert _runs(worker)
        parent.kill()
    deadline = time.monotonic() + 20
    while _runs(worker):
        assert time.monotonic() < deadline, "the worker goes on without its parent"
        time.sleep(0.05)


@pytest.mark.parametrize("cause", ["the body ends", "it fails"])
def test_workers_end_in_the_midst_of_their_work(cause: str) -> None:
    began = time.monotonic()
    with suppress(KeyboardInterrupt), worker_pool(1) as pool:
        # A bot in it takes SIGTERM as a request.
        pool.submit(signal.signal, signal.SIGTERM, signal.SIG_IGN).result()
        working = pool.submit(time.sleep, 60)
        while not working.running():
            time.sleep(0.01)
        if cause == "it fails":
            raise KeyboardInterrupt
    assert working.done()
    assert time.monotonic() - began < 30
    assert not active_children()


def _runs(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
