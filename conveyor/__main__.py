"""`python -m conveyor` is the command `conveyor`."""

from __future__ import annotations

import sys

from conveyor.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
