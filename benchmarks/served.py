"""An exchange in a process of its own, so that its work is not counted as the client's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.process import SMABOT
from benchmarks.sessions import HUGE


@contextmanager
def served(folder: Path, tape: str) -> Iterator[str]:
    """Yield the address of an exchange that plays a minute when it is asked to."""
    command = [
        SMABOT, "exchange", "serve", "--data", tape, "--speed", "step", "--port", "0",
        "--ledger", str(folder / "exchange.db"), "--json",
    ]  # fmt: skip
    environment = {**os.environ, "SMABOT_PLUGIN__EXCHANGE__CASH": str(HUGE)}
    said = (folder / "exchange.log").open("w+")
    with (
        said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment, cwd=folder
        ) as child,
    ):
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line:
                child.wait()
                said.seek(0)
                raise RuntimeError(f"{' '.join(command)}: {said.read().strip()}")
            yield json.loads(line)["url"]
        finally:
            child.terminate()
