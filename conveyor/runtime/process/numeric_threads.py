"""How many threads numeric libraries start in a worker: one, as each worker has a core.

Knows: the variables by which they are told.  Must never know: which libraries there are.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["one_thread_each"]

VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def one_thread_each() -> None:
    """Tells libraries that this process imports from now on, unless the program has told them
    otherwise."""
    for name in VARIABLES:
        os.environ.setdefault(name, "1")
