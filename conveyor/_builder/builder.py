"""All that a pipeline does, in one class."""

from __future__ import annotations

from typing import Any, Generic

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.draining import Draining
from conveyor._builder.simulating import Simulating
from conveyor.signatures import Undeclared

__all__ = ["Builder"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right


class Builder(Draining[In, *Row], Simulating[In, *Row], Generic[In, *Row]):
    """What a `Pipeline` does; how its lanes' types follow from its stages is said there."""
