"""What is named `module:name` on the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeGuard

from conveyor.cli.exits import FAILED, UNKNOWN, CommandFailed
from conveyor.errors import TopologyError
from conveyor.pipeline import Pipeline

__all__ = ["AnyPipeline", "find_modules_here", "loaded", "pipeline_of", "told"]

AnyPipeline = Pipeline[Any, Any]


def loaded(name: str) -> object:
    """What `module:name` names; modules of the working directory are found, too.

    Raises `CommandFailed`: with the exit code 3 if there is no such thing, with 1 if its module
    builds a pipeline that cannot be built.
    """
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise CommandFailed(f"{name!r}: write module:name, such as jobs.logs:pl", UNKNOWN)
    if module.endswith(".py") or not all(part.isidentifier() for part in module.split(".")):
        raise CommandFailed(
            f"{name!r}: a module is named as `import` names it, with dots and without .py, such as "
            "jobs.logs:pl",
            UNKNOWN,
        )
    find_modules_here()
    with told(name, "cannot be loaded"):
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    return found


def find_modules_here() -> None:
    """Modules of the working directory can be imported, as `python -m` has it."""
    if "" not in sys.path:
        sys.path.insert(0, "")


@contextmanager
def told(name: str, what: str) -> Generator[None]:
    """Ends the command by what the program's own code raises inside of this."""
    try:
        yield
    except TopologyError as error:
        raise CommandFailed(f"{name}: {type(error).__name__}: {error}", FAILED) from error
    except (Exception, SystemExit) as error:  # a script without a main guard may end itself
        raise CommandFailed(f"{name!r} {what}: {type(error).__name__}: {error}", UNKNOWN) from error


def pipeline_of(name: str) -> AnyPipeline:
    """The pipeline that is named, or that the function gives which is named."""
    found = loaded(name)
    if not is_pipeline(found) and callable(found):
        make: Callable[[], object] = found
        with told(name, "could not make its pipeline"):
            found = make()
    if not is_pipeline(found):
        raise CommandFailed(
            f"{name!r} is neither a pipeline nor a function without arguments that gives one, but "
            f"{type(found).__name__}",
            UNKNOWN,
        )
    return found


def is_pipeline(found: object) -> TypeGuard[AnyPipeline]:
    return isinstance(found, Pipeline)
