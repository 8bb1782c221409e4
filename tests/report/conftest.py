"""A browser without a network, and pages of reports to look at in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smabot.cli import main

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
)
THEMES = ("light", "dark")
SIZES = {"phone": (390, 844), "desktop": (1440, 900)}
MARKET = "simulated:shape=waves,symbols=10,sessions=5,seed=5"


class Seen(NamedTuple):
    """A page in the browser, with all that its console said."""

    page: Any
    console: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The Chromium of this machine. In CI a missing one is a failure."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        message = f"no browser here: none of {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=found, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Seen]]:
    """Open a file in a theme and a size, without any network, once its charts are drawn."""
    contexts = []

    def look(file: Path, theme: str = "light", size: str = "desktop") -> Seen:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, offline=True
        )
        contexts.append(context)
        page, console = context.new_page(), list[str]()
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: console.append(f"error: {error}"))
        page.on("request", lambda request: console.append(f"request: {request.url}"))
        page.goto(file.as_uri())
        return Seen(page, console)

    yield look
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a backtest of ten symbols in which orders were blocked."""
    page = tmp_path_factory.mktemp("report") / "r.html"
    words = ("--data", MARKET, "--set", "risk.daily_limits.max_orders=40", "--html", str(page))
    assert main(["backtest", *words]) == 0
    return page
