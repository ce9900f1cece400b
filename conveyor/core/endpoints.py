"""The channel ends of one node: which channels it reads and writes, as its part of the topology
says.

Knows: inputs, routes, and what an ordered join needs around a node.  Must never know: what a
channel is made of, how the node is stepped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, assert_never

from typing_extensions import TypeVar

from conveyor.core.barriers import CarriesBarriers, GatedInlet
from conveyor.core.channel import AnyOutlet, Inlet, Note, ZipInlet, words_of_zip
from conveyor.core.ordered import OrderedInlet, words_of_ordered
from conveyor.graph.route import Leaf, leaves
from conveyor.graph.topology import Input, NodeSpec, OrderedInput, ZipInput, all_inputs

__all__ = ["Ends", "notes_of", "standing", "words_of_notes"]


In = TypeVar("In", bound=CarriesBarriers)
Out = TypeVar("Out", bound=AnyOutlet)


class Ends(Generic[In, Out]):
    """Made from the topology; `inlet` and `outlet` give the ends of a channel by its number.

    `inputs` is what the node reads, `inlets` are the channels below that, left to right.  `notes`
    are the words that the node keeps where its channels are, as many as `words_of_notes` says.
    With `gated`, the inputs stop at barriers, which `gates` know.
    """

    def __init__(
        self,
        spec: NodeSpec,
        notes: memoryview[int],
        inlet: Callable[[int], In],
        outlet: Callable[[int], Out],
        gated: bool = False,
    ) -> None:
        self.notes = notes
        self.gated = gated
        self.gates: list[GatedInlet] = []
        self.inlets: list[In] = []
        self.zips: dict[str, ZipInlet] = {}
        self.inputs = [self.read(each, inlet) for each in spec.inputs]
        self.outlets = (
            [outlet(channel) for channel in leaves(spec.route)] if spec.route is not None else []
        )

    def read(self, source: Input, inlet: Callable[[int], In]) -> Inlet:
        if isinstance(source, Leaf):
            end = inlet(source.channel)
            self.inlets.append(end)
            return self.gate(end) if self.gated else end
        words = _words_of_note(source)
        note = self.note(self.notes[:words])
        self.notes = self.notes[words:]
        below = [self.read(each, inlet) for each in source.inputs]
        match source:
            case ZipInput():
                zipped = self.zips[source.name] = ZipInlet(below, note)
                return zipped
            case OrderedInput():
                return OrderedInlet(below, source.balanced, note)
            case _:
                assert_never(source)

    def gate(self, inlet: CarriesBarriers) -> GatedInlet:
        """A channel's end that stops at barriers."""
        gate = GatedInlet(inlet)
        self.gates.append(gate)
        return gate

    def note(self, words: memoryview[int]) -> Note:
        return Note(words)


def standing(inlet: Inlet) -> int:
    """Where an inlet stands between two runs, before it is started for the next: a zip counts from
    there."""
    if isinstance(inlet, ZipInlet):
        return 0
    return inlet.note.newest()[0] if isinstance(inlet, OrderedInlet) else inlet.head


def words_of_notes(inputs: Sequence[Input]) -> int:
    """How many words the notes of a node with these inputs take."""
    return sum(words for _, _, words in notes_of(inputs))


def notes_of(inputs: Sequence[Input]) -> list[tuple[ZipInput | OrderedInput, int, int]]:
    """Each zip and ordered join among some inputs, with the first of the words of its note, and how
    many there are."""
    found: list[tuple[ZipInput | OrderedInput, int, int]] = []
    first = 0
    for each in all_inputs(inputs):
        if not isinstance(each, Leaf):
            words = _words_of_note(each)
            found.append((each, first, words))
            first += words
    return found


def _words_of_note(source: ZipInput | OrderedInput) -> int:
    match source:
        case ZipInput():
            return words_of_zip(len(source.inputs))
        case OrderedInput():
            return words_of_ordered(len(source.inputs))
        case _:
            assert_never(source)
