"""Whom a loop that sleeps before an ordered join asks to wake it."""

from __future__ import annotations

from collections import Counter
from functools import partial

from conveyor.core.drive import DriveSpec, drive
from conveyor.core.nodes import CollectNode
from conveyor.core.ordered import OrderedInlet
from conveyor.core.stamp_columns import run_of
from conveyor.core.stamps import Entries
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.step.loop import DriveLoop
from tests.lines import RUN, Life, RingLine, tag


class Cut:
    n = 9


def test_a_lane_whose_items_wait_for_their_turn_does_not_wake_the_join_with_more() -> None:
    woken: Counter[str] = Counter()
    one, other = RingLine(99, Life()), RingLine(99, Life())
    for line, name in ((one, "one"), (other, "other")):
        line.outlet.wake = partial(woken.update, [name])
    came: list[object] = []
    spec: DriveSpec[Blob] = DriveSpec(
        CollectNode(came.extend), [OrderedInlet([one.inlet, other.inlet], True)], [], None
    )
    loop = DriveLoop(drive(RUN, spec, Cut()), [one.inlet, other.inlet], [], None)

    def send(line: RingLine, origin: int) -> None:
        entries = Entries(["ab"] * 2, (run_of(origin, 2),))
        line.outlet.publish(2, line.outlet.pack(entries), tag(origin))

    send(other, 2)
    loop.step()
    loop.sleeps()
    send(other, 4)
    assert (woken, came) == (Counter(), [])

    send(one, 0)
    assert woken == Counter(one=1)
    loop.is_awake()
    loop.step()
    assert len(came) == 6
    one.close()
    other.close()
