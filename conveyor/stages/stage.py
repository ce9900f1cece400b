"""What all stages share: a name, and options that are checked as soon as they are said."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, NamedTuple

from conveyor.errors import TopologyError

__all__ = [
    "ON_ERROR",
    "UNSET",
    "OnError",
    "Stage",
    "StageOptions",
    "Unset",
    "checked_count",
    "checked_name",
    "checked_seconds",
    "checked_timeout",
    "name_wanted",
]

OnError = Literal["raise", "skip", "dead_letter"]

ON_ERROR: Final = ("raise", "skip", "dead_letter")


class Unset(Enum):
    """Tells an argument that was left out from one that is None."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class StageOptions(NamedTuple):
    """What was said of a stage when it was made."""

    name: str | None = None
    fn: Callable[..., object] | None = None
    on_error: OnError = "raise"
    retries: int = 0
    timeout_s: float | None = None
    read_only: bool = False
    setup: Callable[[], object] | None = None
    cores: int = 1
    concurrency: int | None = None
    ordered: bool = True


class Stage:
    """Anything that can be added to a pipeline."""

    # All in one attribute, so that a subclass may use any other name for itself.  Kept recordings
    # hold it under this name.
    stage_options = StageOptions()

    def _default_name(self) -> str:
        """What the stage is called if it was given no name: its kind, or the name of its
        function."""
        kind = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).lstrip("_")


def name_wanted(stage: Stage) -> str:
    """What a stage is to be called."""
    return stage.stage_options.name or stage._default_name()  # pyright: ignore[reportPrivateUsage]  # as a method would


def checked_count(kind: str, what: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TopologyError(f"{kind}: {what} is {value!r}; it must be a whole number, 1 or more")
    return value


def checked_timeout(kind: str, value: object) -> float | None:
    return None if value is None else checked_seconds(kind, "timeout_s", value, ", or None")


def checked_seconds(kind: str, what: str, value: object, otherwise: str = "") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise TopologyError(
            f"{kind}: {what} is {value!r}; it must be a number of seconds above 0{otherwise}"
        )
    return float(value)


# What schedules call what is no stage: a worker that dies, or something that belongs to a stage.
OF_SCHEDULES: Final = re.compile(
    r"!.*|.*~(cut|done|in|lanes|left|machine|next|saves|step|stop|timer)", re.S
)

# No XML, and in part no UTF-8, can have these.
UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def checked_name(kind: str, name: object) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise TopologyError(f"{kind}: name is {name!r}; it must be a string that is not empty")
    if UNWRITABLE.search(name):
        raise TopologyError(
            f"{kind}: name is {name!r}, which no picture or file can have: leave out control "
            "characters and lone surrogates"
        )
    if OF_SCHEDULES.fullmatch(name):
        raise TopologyError(
            f"{kind}: name is {name!r}, which means something else in a schedule; give one that "
            f"begins with no '!', and does not end in '~' and a word"
        )
    return name
