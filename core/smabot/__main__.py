"""``python -m smabot``."""

from __future__ import annotations

import sys

from smabot.cli import main

if __name__ == "__main__":
    sys.exit(main())
