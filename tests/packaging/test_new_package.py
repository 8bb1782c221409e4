"""A package of `smabot new strategy` as its author has it: its own tox builds, tests, verifies and runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.metadata import Metadata

pytestmark = pytest.mark.slow

NEEDED = ("smabot", "smabot-exchange", "smabot-persistence-sqlite", "smabot-reconciliation")


@pytest.fixture
def wheels(projects: dict[str, Path], uv: Callable[..., str], tmp_path: Path) -> Path:
    """A folder with the wheels of what the package needs, as an index would have them."""
    folder = tmp_path / "wheels"

    def build(name: str) -> None:
        uv("build", "--wheel", "--out-dir", folder, projects[name])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(build, NEEDED))
    return folder


def test_its_tox_builds_tests_verifies_and_runs_it(wheels: Path, in_tmp: Path) -> None:
    pytest.importorskip("tox_uv")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TOX_")}
    environ["UV_FIND_LINKS"] = str(wheels)

    def call(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environ, capture_output=True, text=True, timeout=300
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("smabot", "new", "strategy", "mean_reversion")
    os.chdir("smabot-mean-reversion")
    said = call("tox", "run", "-e", "types,py,run")
    assert "no issues found" in said
    assert "12 passed" in said
    assert "BUY signal" in said
    assert "stopped at --until" in said
    badge = "![smabot verify mean_reversion: 8 of 8 checks passed"
    assert badge in call("tox", "run", "-e", "verify", "--", "--badge")

    (built,) = Path(".tox").rglob("*.whl")
    with zipfile.ZipFile(built) as wheel:
        about = "smabot_mean_reversion-0.1.0.dist-info"
        metadata = Metadata.from_email(wheel.read(f"{about}/METADATA"), validate=True)
        names = set(wheel.namelist())
    package = {
        f"smabot_mean_reversion/{name}" for name in ("__init__.py", "py.typed", "strategy.py")
    }
    assert names - package == {
        f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
    }
    assert metadata.name == "smabot-mean-reversion"
    assert metadata.description
