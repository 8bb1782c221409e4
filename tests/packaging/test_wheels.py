"""The distributions as they would be published: built, looked into, installed, run."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.metadata import Metadata

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(
    projects: dict[str, Path], uv: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Path]]:
    """The sdist of each distribution, and the wheel made from it."""

    def build(name: str, folder: Path) -> tuple[Path, Path]:
        target = tmp_path_factory.mktemp(name)
        uv("build", "--out-dir", target, folder)
        return next(target.glob("*.tar.gz")), next(target.glob("*.whl"))

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(projects, pool.map(build, projects, projects.values()), strict=True))


def package_of(name: str, folder: Path) -> Path:
    return folder / "core/smabot" if name == "smabot" else folder / name.replace("-", "_")


def sources(package: Path) -> set[str]:
    """The files of a package in the checkout, as a wheel names them."""
    return {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_is_the_package_and_nothing_else(
    projects: dict[str, Path], built: dict[str, tuple[Path, Path]]
) -> None:
    for name, folder in projects.items():
        package = package_of(name, folder)
        with zipfile.ZipFile(built[name][1]) as wheel:
            names = set(wheel.namelist())
        about = {each for each in names if each.split("/")[0].endswith(".dist-info")}
        assert names - about == sources(package)
        assert f"{package.name}/py.typed" in names
        assert {Path(each).name for each in about} <= {
            "METADATA",
            "WHEEL",
            "RECORD",
            "entry_points.txt",
            "LICENSE",
        }


def test_the_migrations_are_in_the_wheel(built: dict[str, tuple[Path, Path]]) -> None:
    with zipfile.ZipFile(built["smabot-persistence-sqlite"][1]) as wheel:
        names = set(wheel.namelist())
    migrations = "smabot_persistence_sqlite/migrations"
    assert {f"{migrations}/env.py", f"{migrations}/versions/0001_first_schema.py"} <= names


def test_the_settings_to_begin_with_are_in_the_wheel(
    projects: dict[str, Path], built: dict[str, tuple[Path, Path]]
) -> None:
    with zipfile.ZipFile(built["smabot"][1]) as wheel:
        settings = wheel.read("smabot/cli/settings.toml").decode()
    assert settings == (projects["smabot"] / "settings.toml").read_text()


def test_the_source_of_core_carries_no_plugin(built: dict[str, tuple[Path, Path]]) -> None:
    with tarfile.open(built["smabot"][0]) as sdist:
        tops = {Path(name).parts[1] for name in sdist.getnames()}
    assert tops - {".gitignore", "PKG-INFO"} == {
        "core",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "pyproject.toml",
        "settings.toml",  # what a file of core links to
    }


def test_the_metadata_are_what_an_index_takes(built: dict[str, tuple[Path, Path]]) -> None:
    for name, (_, path) in built.items():
        with zipfile.ZipFile(path) as wheel:
            inside = next(each for each in wheel.namelist() if each.endswith("/METADATA"))
            metadata = Metadata.from_email(wheel.read(inside), validate=True)
        assert metadata.name == name
        assert metadata.summary
        assert metadata.description_content_type == "text/markdown"
        assert metadata.description
        assert metadata.license_expression == "MIT"


def test_installed_from_wheels_it_runs(
    built: dict[str, tuple[Path, Path]], uv: Callable[..., str], in_tmp: Path
) -> None:
    uv("venv", "--python", sys.executable, in_tmp / "venv")
    wheels = [wheel for _, wheel in built.values()]
    uv("pip", "install", "--python", in_tmp / "venv", *wheels)
    smabot = in_tmp / "venv/bin/smabot"
    run = ("run", "--plugins", "sma,risk", "--speed", "max")
    until = ("--until", "2026-03-02T16:00:00Z")
    for arguments in ((*run, *until), run, ("status",), ("db", "check")):
        done = subprocess.run(
            [smabot, *arguments], cwd=in_tmp, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    started = "init bot && cd bot && smabot run --until 2026-03-02T16:00:00Z --speed max"
    environ = {"PATH": f"{smabot.parent}:/usr/bin:/bin"}
    begun = subprocess.run(
        f"smabot {started}", cwd=in_tmp, env=environ, shell=True, capture_output=True, timeout=120
    )
    assert begun.returncode == 0, begun.stderr
