"""Which exceptions of a check, or of a test, say that it has failed.

Knows: how tests are ended in other ways.  Must never know: schedules, or which framework a test is
written for.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from conveyor.sim.interruption import pass_on

__all__ = ["denies", "tells_failure"]

ENDINGS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)


def tells_failure(error: BaseException) -> bool:
    """Is this a failure, as that of `assert` or `pytest.fail`?  To be skipped, or to exit, is none.

    Raises `error` if a signal handler did.

    >>> tells_failure(AssertionError()), tells_failure(SystemExit())
    (True, False)
    """
    pass_on(error)
    return not isinstance(error, (*ENDINGS, *of_pytest(), *of_unittest()))


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


def of_pytest() -> tuple[type[BaseException], ...]:
    """What pytest ends a test with that is not to be judged: by these it says that it is skipped,
    that its failure is expected, or that the session is over, and no schedule is to blame for that.

    Empty where pytest has not been imported: nothing can raise them then.
    """
    pytest: Any = sys.modules.get("pytest")
    return (
        ()
        if pytest is None
        else (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception)
    )


def of_unittest() -> tuple[type[BaseException], ...]:
    unittest: Any = sys.modules.get("unittest")
    return () if unittest is None else (unittest.SkipTest,)
