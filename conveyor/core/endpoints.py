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
from conveyor.core.log_places import LogPlaces
from conveyor.core.ordered import OrderedInlet, words_of_ordered
from conveyor.core.set_aside import KeptZipInlet
from conveyor.graph.route import Leaf, leaves
from conveyor.graph.topology import Input, NodeSpec, OrderedInput, ZipInput, all_inputs, zips_of

__all__ = ["Ends", "notes_of", "standing", "words_of_notes"]


In = TypeVar("In", bound=CarriesBarriers)
Out = TypeVar("Out", bound=AnyOutlet)


class Ends(Generic[In, Out]):
    """Made from the topology; `inlet` and `outlet` give the ends of a channel by its number.

    `inputs` is what the node reads, `inlets` are the channels below that, left to right.  `notes`
    are the words that the node keeps where its channels are, as many as `words_of_notes` says.
    With `places`, which gives those in which a zip, by its name, keeps what it sets aside, the
    inputs stop at barriers, which `gates` know.
    """

    def __init__(
        self,
        spec: NodeSpec,
        notes: memoryview[int],
        inlet: Callable[[int], In],
        outlet: Callable[[int], Out],
        places: Callable[[str], LogPlaces] | None = None,
    ) -> None:
        self.notes = notes
        self.places = places
        self.gates: list[GatedInlet] = []
        self.inlets: list[In] = []
        self.zips: dict[str, ZipInlet] = {}
        self.kept_zips: dict[str, KeptZipInlet] = {}
        self.inputs = [self.read(each, inlet) for each in spec.inputs]
        self.names_of_zips = [name for name, _ in zips_of(spec.inputs)]
        self.outlets = (
            [outlet(channel) for channel in leaves(spec.route)] if spec.route is not None else []
        )

    def read(self, source: Input, inlet: Callable[[int], In]) -> Inlet:
        if isinstance(source, Leaf):
            end = inlet(source.channel)
            self.inlets.append(end)
            return end if self.places is None else self.gate(end)
        words = _words_of_note(source)
        note = self.note(self.notes[:words])
        self.notes = self.notes[words:]
        first = len(self.gates)
        below = [self.read(each, inlet) for each in source.inputs]
        match source:
            case ZipInput():
                zipped = self.zips[source.name] = self.zip_of(source.name, below, note, first)
                return zipped
            case OrderedInput():
                return OrderedInlet(below, source.balanced, note)
            case _:
                assert_never(source)

    def zip_of(self, name: str, below: list[Inlet], note: Note, first: int) -> ZipInlet:
        """A zip, whose gates are those from the `first` on."""
        if self.places is None:
            return ZipInlet(below, note)
        kept = KeptZipInlet(below, note, self.gates[first:], self.places(name))
        self.kept_zips[name] = kept
        return kept

    def known_by_zips(self) -> list[int]:
        """What is noted of all zips at a barrier, in the order of `zips_of`."""
        return [word for name in self.names_of_zips for word in self.kept_zips[name].known()]

    def gate(self, inlet: CarriesBarriers) -> GatedInlet:
        """A channel's end that stops at barriers."""
        gate = GatedInlet(inlet)
        self.gates.append(gate)
        return gate

    def note(self, words: memoryview[int]) -> Note:
        return Note(words)


def standing(inlet: Inlet, run: int) -> int:
    """Where an inlet stands before it is started for a run: a zip counts from there, or from the
    checkpoint with which the run begins."""
    if isinstance(inlet, ZipInlet):
        return inlet.standing(run)
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
