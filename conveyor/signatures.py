"""What is left at run time of the shapes by which a type checker follows the lanes: names, and
nothing in them.

Knows: which of them something inherits from or asks for.  Must never know: how lanes are followed;
that is in `signatures.pyi`, which checkers read in the place of this.  A worker that starts would
else have to go through all of it.
"""

from __future__ import annotations

from typing import Generic, final

from typing_extensions import TypeVar

__all__ = [
    "ClosesLanes",
    "Into",
    "MayAwait",
    "OpensLanes",
    "PassesALane",
    "SelectsLanes",
    "TakesALane",
    "Undeclared",
    "Width",
    "ZipsLanes",
]

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
Width = TypeVar("Width", default=int)
Opening = TypeVar("Opening", default=int)
Kept = TypeVar("Kept")


@final
class Undeclared:
    """What `Pipeline()` takes: nothing says so, as `Pipeline[str]()` would."""


class TakesALane(Generic[In_contra, Out_co]):
    """The shape of what works on items."""


class MayAwait(TakesALane[In_contra, Out_co]):
    """The shape of a `Processor`."""


class PassesALane:
    """The shape of a `Pipe`."""


class OpensLanes(Generic[Width]):
    """The shape of the forks."""


class Into(Generic[Kept]):
    """What is known of the items in the first lane of a fork that splits."""


class SelectsLanes(Generic[In_contra, Opening]):
    """The shape of the forks that look at their items."""


class ClosesLanes(Generic[Width]):
    """The shape of a `Join`."""


class ZipsLanes(Generic[Width]):
    """The shape of a `Zip`."""
