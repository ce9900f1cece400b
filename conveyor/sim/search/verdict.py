"""Which exceptions of a check, or of a test, say that it has failed.

Knows: how tests are ended in other ways.  Must never know: schedules, or which framework a test is
written for.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from conveyor.core.steering import of_pytest
from conveyor.sim.interruption import pass_on

__all__ = ["denies", "tells_failure"]

ENDINGS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)


def tells_failure(error: BaseException) -> bool:
    """Is this a failure, as that of `assert` or `pytest.fail`?  To be skipped, to be expected to
    fail, or to exit, is none: no schedule is to blame for that.

    Raises `error` if a signal handler did.

    >>> tells_failure(AssertionError()), tells_failure(SystemExit())
    (True, False)
    """
    pass_on(error)
    return not isinstance(error, (*ENDINGS, *of_pytest("skip", "xfail", "exit"), *of_unittest()))


def denies(verdict: object) -> bool:
    """Does a check that returned `verdict` say that the run is wrong?

    False does, and so does the false of numpy and the like, which is what `(array > 0).all()`
    gives.  An array of several truth values is neither true nor false, and raises as it does
    anywhere.

    >>> denies(False), denies(None), denies(0)
    (True, False, False)
    """
    is_of_arrays = str(getattr(verdict, "dtype", "")).endswith("bool")
    return verdict is False or (is_of_arrays and not verdict)


def of_unittest() -> tuple[type[BaseException], ...]:
    unittest: Any = sys.modules.get("unittest")
    return () if unittest is None else (unittest.SkipTest,)
