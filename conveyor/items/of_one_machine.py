"""Objects that live on one machine: what they stand for is nowhere else.

Knows: what the standard library has of them.  Must never know: where a stage is to run.
"""

from __future__ import annotations

import sys
from typing import Final, cast

__all__ = ["OfOneMachine", "is_refused", "refuse"]

# A module that was not imported has made none.
KINDS: Final = {
    ("multiprocessing.synchronize", "SemLock"): "a lock",
    ("multiprocessing.synchronize", "Condition"): "a condition",
    ("multiprocessing.synchronize", "Event"): "an event",
    ("multiprocessing.synchronize", "Barrier"): "a barrier",
    ("multiprocessing.queues", "Queue"): "a queue",
    ("multiprocessing.queues", "SimpleQueue"): "a queue",
    ("multiprocessing.sharedctypes", "SynchronizedBase"): "shared memory",
    ("multiprocessing.shared_memory", "SharedMemory"): "shared memory",
    ("multiprocessing.shared_memory", "ShareableList"): "shared memory",
    ("mmap", "mmap"): "shared memory",
    ("multiprocessing.connection", "_ConnectionBase"): "a connection",
    ("multiprocessing.pool", "Pool"): "a pool of processes",
    ("multiprocessing.managers", "BaseProxy"): "an object of a manager",
}
PROXY: Final = ("multiprocessing.managers", "BaseProxy")
LOOPBACK: Final = ("localhost", "127.", "::1")


class OfOneMachine(Exception):
    """Another machine cannot have this."""


def refuse(thing: object) -> None:
    """Raises `OfOneMachine` for what other machines cannot have.

    >>> from multiprocessing import Event
    >>> refuse([1])
    >>> refuse(Event())
    Traceback (most recent call last):
    conveyor.items.of_one_machine.OfOneMachine: an event (multiprocessing.synchronize.Event) is of \
this machine alone
    """
    kind: type[object] = type(thing)
    for (module, name), words in KINDS.items():
        base = getattr(sys.modules.get(module), name, None)
        if base is None or not issubclass(kind, base) or is_of_a_server(thing, (module, name)):
            continue
        whole = f"{kind.__module__}.{kind.__qualname__}"
        raise OfOneMachine(f"{words} ({whole}) is of this machine alone")


def is_refused(thing: object) -> bool:
    """Would `refuse` raise?"""
    try:
        refuse(thing)
    except OfOneMachine:
        return True
    return False


def is_of_a_server(thing: object, base: tuple[str, str]) -> bool:
    """Is it an object of a manager that other machines can reach?"""
    address: object = getattr(getattr(thing, "_token", None), "address", None)
    if base != PROXY or not isinstance(address, tuple):  # else it is the name of a file
        return False
    return not str(cast("tuple[object, ...]", address)[0]).startswith(LOOPBACK)
