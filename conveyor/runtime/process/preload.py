"""What the fork server imports once for all workers.

Knows: which modules were asked for, by whom.  Must never know: how the fork server is started.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final, cast

__all__ = ["ask_for", "preload"]

# What each worker needs, and what comes with the module or the value of most jobs.
PRELOAD: Final = ("conveyor.runtime.worker.worker", "conveyor.pipeline", "cloudpickle")

# By the pipelines of this program, in the order in which they were opened.  One that asks for fewer
# is served by the same fork server.
asked: Final[dict[str, None]] = {}


def ask_for(modules: Iterable[str]) -> None:
    """Has the fork servers of this program import these, too, from now on."""
    asked.update(dict.fromkeys(modules))


def preload() -> list[str]:
    """Gives what the fork server imports: what a worker needs, what pipelines have asked for, and
    what the program wants the fork server of multiprocessing to import."""
    module = sys.modules.get("multiprocessing.forkserver")
    wanted = cast(
        "list[str]", getattr(getattr(module, "_forkserver", None), "_preload_modules", [])
    )
    return list(dict.fromkeys([*PRELOAD, *asked, *filter("__main__".__ne__, wanted)]))
