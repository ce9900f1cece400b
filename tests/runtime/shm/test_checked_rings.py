"""Channels where stores come late or are damaged: what is read is right, or it is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from conveyor.errors import RunError
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import seal
from conveyor.items.slices import opened
from conveyor.runtime.shm import checked
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import CONTROL_BYTES, TAIL, Ring
from tests.helpers import SCRIPTS, new_or_forked, run_script
from tests.lines import RUN, CheckedLine, RingLine, tag

CAPACITY = 8
LARGE = 9000  # does not fit into the ring
SLICES: dict[str, list[object]] = {
    "atoms": [1, "two", (3, None)],
    "sealed": [["a", "list"]],
    "beside the ring": [b"x" * LARGE],
}


def line_after(laps: int) -> CheckedLine:
    """A line that was written full so many times, so that old records lie where the next will."""
    line = CheckedLine(CAPACITY)
    line.inlet.start(RUN)
    for number in range(laps * line.outlet.ring.size // 112):
        publish(line, [number])
        line.inlet.commit(line.inlet.position(len(line.inlet.peek(1))))
    return line


def publish(line: RingLine, items: list[object]) -> None:
    slice_: list[object] = [item if is_atom(item) else seal(item) for item in items]
    line.outlet.publish(len(items), line.outlet.pack(slice_), tag(line.outlet.tail + 1))


def late_words(line: CheckedLine, items: list[object]) -> Iterator[Callable[[bool], None]]:
    """Publishes; then for each word that this changed a function that takes it back, and gives it
    again."""
    whole = line.memory.view
    before = bytes(whole)
    publish(line, items)
    after = bytes(whole)
    changed = [
        at
        for at in range(CONTROL_BYTES, len(after), 8)
        if before[at : at + 8] != after[at : at + 8]
    ]
    assert len(changed) > 5
    for at in changed:

        def put(there: bool, at: int = at) -> None:
            whole[at : at + 8] = (after if there else before)[at : at + 8]

        yield put


def read(line: CheckedLine, n: int) -> list[object]:
    line.reopen_inlet()
    line.inlet.start(RUN)
    return list(opened(line.inlet.peek(n)))


def what_is_read(line: CheckedLine, n: int) -> object:
    try:
        return read(line, n)
    except RunError as error:
        return "damaged" if "damaged" in str(error) else str(error)


@pytest.mark.parametrize("laps", [0, 1, 2])
@pytest.mark.parametrize("items", SLICES.values(), ids=SLICES)
def test_a_word_that_comes_late_is_waited_for(
    items: list[object], laps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = line_after(laps)
    for put in late_words(line, items):
        put(False)
        monkeypatch.setattr(checked, "barrier", partial(put, True))
        assert read(line, len(items)) == items
        put(True)
    line.close()


@pytest.mark.parametrize("laps", [0, 1, 2])
def test_a_whole_record_that_comes_late_is_not_taken_for_the_one_that_lay_there(
    laps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has checksums, too, and the size of the new one."""
    line = line_after(laps)
    words = list(late_words(line, [7]))

    def put_all(there: bool) -> None:
        for put in words:
            put(there)

    put_all(False)
    monkeypatch.setattr(checked, "barrier", lambda: put_all(True))
    assert read(line, 1) == [7]
    line.close()


@pytest.mark.parametrize("laps", [0, 1])
@pytest.mark.parametrize("items", SLICES.values(), ids=SLICES)
def test_one_that_never_comes_is_an_error_or_made_no_difference(
    items: list[object], laps: int
) -> None:
    line = line_after(laps)
    for put in late_words(line, items):
        put(False)
        assert what_is_read(line, len(items)) in (items, "damaged")
        put(True)
    line.close()


@pytest.mark.parametrize("items", SLICES.values(), ids=SLICES)
def test_every_byte_of_a_payload_that_is_changed_is_seen(items: list[object]) -> None:
    line = line_after(0)
    publish(line, items)
    ring = line.outlet.ring
    record = ring.next_record(0, 0)
    assert record is not None
    place, size, form, *_ = record
    payload = Ring.payload(ring, place, size, form)
    for at in {*range(min(size, 100)), *range(max(0, size - 10), size)}:
        payload[at] ^= 0x10
        with pytest.raises(RunError, match="damaged"):
            read(line, len(items))
        payload[at] ^= 0x10
    assert read(line, len(items)) == items
    line.close()


def test_the_end_of_a_run_is_not_seen_before_the_last_item() -> None:
    """The word that says that the run has ended may come before the one that says that there is an
    item."""
    line = line_after(0)
    tail = line.outlet.ring.words[TAIL]
    publish(line, [1])
    line.outlet.close(RUN)
    newest, line.inlet.words[TAIL] = line.inlet.words[TAIL], tail
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checked, "barrier", lambda: line.inlet.words.__setitem__(TAIL, newest))
        assert not line.inlet.ended()
    assert list(line.inlet.peek(1)) == [1]
    line.close()


def test_a_machine_that_keeps_the_order_has_none_of_this(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory.create(Ring.bytes_for(1))
    monkeypatch.setattr(checked, "ORDERED", True)
    assert type(checked.ring_of(memory, 0, 1)) is Ring
    monkeypatch.setattr(checked, "ORDERED", False)
    assert type(checked.ring_of(memory, 0, 1)) is checked.CheckedRing
    memory.close()


@pytest.mark.processes
@new_or_forked
def test_a_pipeline_runs_with_it(start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(checked.SWITCH, "1")
    assert run_script(SCRIPTS / "checked.py", start_method) == ["CheckedRing [0, 2, 4] 10000"]
