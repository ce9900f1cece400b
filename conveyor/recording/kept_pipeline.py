"""The pipeline that a recording keeps, so that its run can be done again without the program.

The graph is plain data (`graph_data`).  The stages and the definitions of the program's script are
the pickles that travel to workers; what these need of the library they call by the names of
`conveyor.pickles`.  So no path of a module of this library is in the file, and modules may move.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from struct import Struct
from typing import Final, NamedTuple
from zlib import compress, decompress

from conveyor.graph.topology import Topology
from conveyor.items.main_module import Definitions, pack_main
from conveyor.items.stage_pickling import unpack_fork, unpack_stage
from conveyor.items.unpickling import complete
from conveyor.recording.graph_data import data_of, topology_of

__all__ = ["KeptPipeline", "pack_pipeline"]

LENGTH: Final = Struct("<I")


def pack_pipeline(
    topology: Topology,
    stages: Mapping[int, bytes],
    forks: Mapping[int, bytes],
    main: Definitions | None,
) -> bytes:
    """Packs a pipeline: a table of contents, its length before it, and the pickles behind.

    The table is compressed JSON: a graph has the same keys for each of its nodes.

    `stages` are the packed stages by node, `forks` the forks behind them that have a function;
    `main` is what the program's script defines, None if it is still to be packed.
    """
    main = pack_main() if main is None else main
    contents = {
        "graph": data_of(topology),
        "stages": table_of(stages),
        "forks": table_of(forks),
        "definitions": [{"name": name, "size": len(data)} for name, data in main.pickled.items()],
        "refused": main.refused,
    }
    table = compress(json.dumps(contents, separators=(",", ":")).encode(), level=1)
    pickles = [*stages.values(), *forks.values(), *main.pickled.values()]
    return b"".join([LENGTH.pack(len(table)), table, *pickles])


def table_of(pickles: Mapping[int, bytes]) -> list[dict[str, int]]:
    return [{"node": node, "size": len(data)} for node, data in pickles.items()]


class KeptPipeline(NamedTuple):
    """A pipeline as it was packed: its graph, its pickled stages and forks by node, and the
    definitions."""

    graph: Topology
    stages: Mapping[int, bytes]
    forks: Mapping[int, bytes]
    definitions: Definitions

    @classmethod
    def read(cls, packed: bytes) -> KeptPipeline:
        """Reads what `pack_pipeline` gave; unpickles nothing."""
        (length,) = LENGTH.unpack_from(packed)
        at = LENGTH.size + length
        contents = json.loads(decompress(packed[LENGTH.size : at]))
        stages: dict[int, bytes] = {}
        forks: dict[int, bytes] = {}
        definitions = Definitions()
        definitions.refused |= contents["refused"]
        # Files of earlier versions have none of the forks.
        for found, table in ((stages, contents["stages"]), (forks, contents.get("forks", []))):
            for each in table:
                found[each["node"]] = packed[at : at + each["size"]]
                at += each["size"]
        for each in contents["definitions"]:
            definitions.pickled[each["name"]] = packed[at : at + each["size"]]
            at += each["size"]
        return cls(topology_of(contents["graph"]), stages, forks, definitions)

    def topology(self) -> Topology:
        """Gives the graph with its stages; raises what unpickling them raises."""
        nodes = [
            replace(
                node,
                stage=unpack_stage(self.stages[node.index]).stage
                if node.index in self.stages
                else None,
                fork=unpack_fork(self.forks[node.index]) if node.index in self.forks else None,
            )
            for node in self.graph.nodes
        ]
        complete()
        return replace(self.graph, nodes=tuple(nodes))
