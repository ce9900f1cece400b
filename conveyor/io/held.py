"""Which epoch a store holds, where only the store can tell.

Knows: the number that a store has kept, and the one that a run goes on with.  Must never know: how
it is kept.
"""

from __future__ import annotations

from conveyor.errors import ConveyorError

__all__ = ["check_not_ahead"]


def check_not_ahead(held: int, epoch: int, identity: str, results: str, store: str) -> int:
    """The newest epoch of a store; raises `ConveyorError` if it has the one that comes next, too,
    whose `results` would come twice."""
    if held >= epoch:
        raise ConveyorError(
            f"{identity} holds epoch {held} already, and the checkpoint goes on with {epoch}: its "
            f"{results} would come twice; another run wrote into this {store}"
        )
    return held
