"""What is left at run time of what checkers know of rows of stages: a name.

Checkers read `_rows.pyi` in the place of this, which is generated: an overload of `add` for each
row that a pipeline's open lanes can be given.
"""

from __future__ import annotations

from typing import Any, Generic

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.builder import Builder
from conveyor.signatures import Undeclared

__all__ = ["Rows"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])


class Rows(Builder[In, *Row], Generic[In, *Row]):
    """What takes rows of stages, and knows what each makes of the types on the open lanes."""
