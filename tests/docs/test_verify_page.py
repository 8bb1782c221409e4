"""docs/verify.md has every check with its promise, and tests that run as they are shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from smabot.testing.verifying.plugin_roles import DECIDING, Role
from smabot.testing.verifying.verification import all_checks

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
SECTIONS = {
    "A strategy": {Role.STRATEGY},
    "A risk rule": {Role.RULE},
    "All that take part in decisions": {*DECIDING},
    "A journal": {Role.JOURNAL},
    "A broker and a feed": {Role.BROKER, Role.FEED},
}


def test_the_page_has_every_check_with_its_promise_under_its_role() -> None:
    told = {}
    for title, roles in SECTIONS.items():
        section = PAGE.read_text().partition(f"### {title}\n")[2].partition("\n#")[0]
        for name, promise in re.findall(r"^\| `([\w-]+)` \| (.*) \|$", section, re.M):
            told[name] = promise
            assert {*all_checks()[name].roles} <= roles, name
    assert told == {name: check.promise for name, check in all_checks().items()}


def test_the_tests_on_the_page_run(in_tmp: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    plugins = PAGE.with_name("plugins.md").read_text()
    (rising,) = re.findall(r"\*\*`rising\.py`\*\*\n\n```python\n(.*?)```", plugins, re.S)
    (in_tmp / "rising.py").write_text(rising)
    (in_tmp / "test_rising.py").write_text(code)
    chosen = ["-k", "not promises or quick or pure-hooks"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
