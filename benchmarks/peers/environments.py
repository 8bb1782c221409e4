"""A virtual environment for each peer, made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

DRIVERS = Path(__file__).with_name("drivers")
DEFAULT_FOLDER = Path(tempfile.gettempdir(), "smabot-peers")
_READY = "ready"
"""A file in an environment that was installed to its end."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another backtester: its name, what is installed, the least Python, and its program."""

    name: str
    requirement: str
    least: tuple[int, int]
    driver: Path


class NotInstalled(Exception):
    """A peer can't be installed; the text says why."""


PEERS = {
    peer.name: peer
    for peer in (
        Peer("backtesting", "backtesting==0.6.6", (3, 9), DRIVERS / "backtesting_driver.py"),
        Peer("vectorbt", "vectorbt==1.2.0", (3, 10), DRIVERS / "vectorbt_driver.py"),
        Peer("nautilus", "nautilus_trader==1.231.0", (3, 12), DRIVERS / "nautilus_driver.py"),
    )
}


def interpreter(peer: Peer, folder: Path, newer: str | None) -> str:
    """Return the Python of a peer's environment, which is made where it isn't there.

    ``newer``: the Python for a peer that this one is too old for. Raises NotInstalled.
    """
    place = folder / peer.requirement
    python = place / "bin" / "python"
    if (place / _READY).exists():
        return str(python)
    base = sys.executable if sys.version_info[:2] >= peer.least else newer
    if base is None:
        least = ".".join(map(str, peer.least))
        raise NotInstalled(f"it needs Python {least} or newer: name one with --python")
    print(f"  installing {peer.requirement} in {place}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    _run([base, "-m", "venv", str(place)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
          peer.requirement])  # fmt: skip
    (place / _READY).touch()
    return str(python)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except OSError as error:
        raise NotInstalled(f"{command[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines() or ["no message"]
        raise NotInstalled(f"{' '.join(command)}: {last[-1]}") from None
