"""What cannot be on another machine is refused before anything starts there, in words that say
what it is and where it stands."""

from __future__ import annotations

import mmap
import multiprocessing
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.managers import DictProxy
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import pytest

from conveyor import FlatMap, Join, Pipe, Pipeline, Processor, RoutingFork
from conveyor.errors import TopologyError
from conveyor.items.of_one_machine import OfOneMachine, refuse
from tests.hosts import InThisProcess


@contextmanager
def shared_memory() -> Generator[Any]:
    memory = SharedMemory(create=True, size=8)
    yield memory
    memory.close()
    memory.unlink()


MADE: dict[str, Callable[[], Any]] = {
    "a lock": multiprocessing.RLock,
    "a condition": multiprocessing.Condition,
    "an event": multiprocessing.Event,
    "a barrier": lambda: multiprocessing.Barrier(2),
    "a queue": multiprocessing.SimpleQueue,
    "a queue (multiprocessing.queues.Queue)": multiprocessing.Queue,
    "shared memory (multiprocessing.sharedctypes.Synchronized)": lambda: multiprocessing.Value("i"),
    "shared memory": lambda: mmap.mmap(-1, 8),
    "a connection": lambda: multiprocessing.Pipe()[0],
}


class Counts(Processor[int, int]):
    """Keeps something."""

    def __init__(self, kept: object) -> None:
        super().__init__()
        self.table = {"kept": [kept]}

    def process(self, item: int) -> int:
        return item


@pytest.mark.parametrize("words", MADE)
def test_a_stage_that_has_something_of_this_machine_is_refused(words: str) -> None:
    thing, engine = MADE[words](), InThisProcess()
    pl = Pipeline[int]().add(Processor(abs)).add(Counts(thing))
    with pytest.raises(TopologyError) as caught:
        pl.run([1], engine=engine)
    text = str(caught.value)
    assert text.startswith("stage 'Counts' cannot run elsewhere: stage 'Counts' -> ")
    assert f"-> ['kept'] -> [0]: {words}" in text
    assert "is of this machine alone. setup() can make one on each machine" in text
    assert not engine.networks


def test_it_is_found_wherever_a_job_a_fork_or_the_initializer_refers_to_it() -> None:
    engine = InThisProcess()
    with shared_memory() as memory:

        def first_byte(number: int) -> int:
            return int(memory.buf[0]) + number

        with pytest.raises(TopologyError, match=r"variable 'memory': shared memory"):
            Pipeline[int]().add(FlatMap(lambda x: [first_byte(x)])).run([1], engine=engine)
        pl: Any = Pipeline[int]().add(Processor(abs))
        pl.add(RoutingFork(2, lane=lambda x: first_byte(x) % 2, name="route"))
        pl.add(Processor(abs), Pipe()).add(Join(2))
        with pytest.raises(TopologyError, match=r"'route' cannot run elsewhere.*shared memory"):
            pl.run([1], engine=engine)
        pl = Pipeline[int](initializer=lambda: print(first_byte(1))).add(Processor(abs))
        with pytest.raises(TopologyError, match="the initializer cannot run elsewhere"):
            pl.run([1], engine=engine)
    assert not engine.networks


def proxy_at(address: object) -> Any:
    """What a manager at an address would give, which is asked for nothing."""
    token = type("Token", (), {"address": address})
    kind: Any = DictProxy
    proxy = kind.__new__(kind)
    proxy.__dict__["_token"] = token
    return proxy


@pytest.mark.parametrize("address", ["/tmp/listener-1", ("127.0.0.1", 7), ("localhost", 7)])
def test_what_a_manager_of_this_machine_has_is_refused(address: object) -> None:
    with pytest.raises(OfOneMachine, match=r"an object of a manager .* is of this machine alone"):
        refuse(proxy_at(address))


def test_what_a_manager_has_that_all_machines_reach_is_not() -> None:
    refuse(proxy_at(("10.0.0.1", 7)))


@pytest.mark.processes
@pytest.mark.usefixtures("nothing_is_left_behind")
def test_on_one_machine_it_serves_as_before() -> None:
    with shared_memory() as memory:
        memory.buf[0] = 7

        def byte_at(at: int) -> int:
            return int(memory.buf[at])

        assert Pipeline[int]().add(Processor(byte_at)).run([0, 1]) == [7, 0]
