"""Whether a pipeline can be kept in a checkpoint.

Knows: what of its graph has a state that nothing saves.  Must never know: how anything is saved.
"""

from __future__ import annotations

from conveyor.errors import TopologyError
from conveyor.graph.topology import Topology

__all__ = ["check_can_be_kept"]


def check_can_be_kept(topology: Topology) -> None:
    """Raises `TopologyError` for the first stage that a checkpoint could not bring back."""
    for spec in topology.nodes:
        if spec.dies_with_worker:
            raise TopologyError(
                f"stage {spec.name!r} keeps a state that a checkpoint cannot save: give its class "
                "snapshot() and restore(), or say stateful=False if it keeps nothing from item to "
                "item"
            )
