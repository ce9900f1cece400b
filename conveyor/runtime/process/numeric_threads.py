"""How many threads numeric libraries start in a worker: as many as it has cores, which is one.

Knows: the libraries, and the variables by which they are told.  Must never know: what workers do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["limit_threads", "numeric_libraries"]

VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# The names of the files in which they are, without `lib` and what is behind.
LIBRARIES: Final = ("openblas", "mkl_rt", "blis", "arrow", "torch_cpu", "gomp", "omp", "iomp5")


def limit_threads(threads: int = 1) -> None:
    """Tells libraries that this process imports from now on, unless the program has told them
    otherwise."""
    for name in VARIABLES:
        os.environ.setdefault(name, str(threads))


def numeric_libraries(pid: int) -> tuple[str, ...]:
    """The libraries with threads of their own that a process has loaded; none where that is not
    told."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")
    except OSError:
        return ()
    files = {line.rpartition("/")[2] for line in maps.splitlines() if "/" in line}
    return tuple(
        name
        for name in LIBRARIES
        if any(
            file.startswith((f"lib{name}.", f"lib{name}-", f"lib{name}64", f"libscipy_{name}"))
            for file in files
        )
    )
