"""What comes through a job and is no error of its item.

Knows: how the library itself, pytest and Hypothesis end what is under way.  Must never know: jobs,
policies.

Whatever else a job raises is its item's, `SystemExit` and `KeyboardInterrupt` too.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["ControlFlow", "closes", "of_pytest", "steers"]


class ControlFlow(BaseException):
    """Raised by the library to end what a thread, or a simulated worker, is about: no error."""


def steers(error: BaseException) -> bool:
    """Does this end a run, whatever its stages do with errors?

    >>> steers(ControlFlow()), steers(SystemExit())
    (True, False)
    """
    tests = (*of_pytest("skip", "fail", "xfail", "exit"), *of_hypothesis())
    return isinstance(error, (ControlFlow, *tests))


def closes(error: BaseException) -> bool:
    """Is the generator in which this has been caught being closed, where it gave something?

    Else a `GeneratorExit`, too, is what somebody has raised: a job, or what a job gave.

    >>> closes(GeneratorExit()), closes(SystemExit())
    (True, False)
    """
    traceback = error.__traceback__
    return isinstance(error, GeneratorExit) and (traceback is None or traceback.tb_next is None)


def of_pytest(*functions: str) -> tuple[type[BaseException], ...]:
    """What these functions of pytest raise.

    Empty where pytest has not been imported: nothing can raise them then.
    """
    pytest: Any = sys.modules.get("pytest")
    return () if pytest is None else tuple(getattr(pytest, each).Exception for each in functions)


def of_hypothesis() -> tuple[type[BaseException], ...]:
    """What Hypothesis ends an example by, where it has been imported."""
    errors: Any = sys.modules.get("hypothesis.errors")
    return () if errors is None else (errors.StopTest,)
