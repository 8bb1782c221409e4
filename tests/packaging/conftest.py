"""Where the distributions lie, and uv to build and install them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def projects() -> dict[str, Path]:
    """The folder of each distribution by its name."""
    plugins = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
    names = {f"smabot-{folder.name.replace('_', '-')}": folder for folder in plugins}
    return {"smabot": ROOT, **names}


@pytest.fixture(scope="session")
def uv() -> Callable[..., str]:
    """Run uv and return what it printed; without downloads of Pythons."""
    binary = pytest.importorskip("uv").find_uv_bin()

    def uv(*arguments: object) -> str:
        command = [binary, "--no-python-downloads", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return uv
