"""Lets tox find the Pythons of pyenv: its shims hide all but the one that is switched on."""

import os
from pathlib import Path

versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
found = [str(path) for path in sorted(versions.glob("3.*/bin"))]
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *found])
