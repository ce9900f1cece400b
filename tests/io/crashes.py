"""A sink is killed anywhere, and resumed as a checkpoint does it.

Knows: the order of the calls, and a number for each whole epoch, written down as a manifest would
be.  Must never know: which sink it is.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

from conveyor import Sink

KILLED = -signal.SIGKILL

# What a store does, before which a kill leaves something else than behind it.
INSIDE = ("replace", "fsync", "unlink")

Inside: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[object]]
"""Has a store call what it is given before each step of its own."""


def only_files(step: Callable[[], None]) -> AbstractContextManager[object]:
    return nullcontext()


def drive(
    make: Callable[[], Sink[Any]],
    epochs: Sequence[Sequence[Sequence[Any]]],
    manifest: Path,
    dies_at: int | None,
    inside: Inside = only_files,
) -> int:
    """Writes all epochs, from where the manifest says; is killed before step `dies_at`.

    Gives how many steps there were.
    """
    steps = count()

    def step() -> None:
        if next(steps) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            step()
            if function is not os.fsync:  # which costs a while, and makes nothing of a kill
                return function(*arguments, **options)

        return stepped

    with ExitStack() as stack:
        for name in INSIDE:
            stack.enter_context(patch(f"os.{name}", before(getattr(os, name))))
        stack.enter_context(inside(step))
        sink = make()
        whole = sorted(int(name.name) for name in manifest.iterdir())
        newest = whole[-1] if whole else -1
        step()
        held = sink.open(newest + 1)
        step()
        if held is None:
            if newest >= 0:
                sink.commit(newest)
        elif held < newest:
            assert held == newest - 1
            newest = held
            sink.open(newest + 1)
        for epoch in range(newest + 1, len(epochs)):
            for items in epochs[epoch]:
                step()
                sink.write(items)
            step()
            sink.prepare(epoch)
            step()
            (manifest / str(epoch)).touch()
            step()
            sink.commit(epoch)
        step()
    return next(steps)


def in_a_process(run: Callable[[], object]) -> int:
    """How a forked process ended that ran this: 0, or `KILLED`."""
    pid = os.fork()
    if not pid:
        try:
            run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def killed_and_resumed(
    make: Callable[[], Sink[Any]],
    epochs: Sequence[Sequence[Sequence[Any]]],
    manifest: Path,
    deaths: Sequence[int],
    inside: Inside = only_files,
) -> None:
    """Goes on after each death, and to the end after the last."""
    manifest.mkdir()
    for dies_at in deaths:
        ended = in_a_process(partial(drive, make, epochs, manifest, dies_at, inside))
        assert ended in (0, KILLED)
    assert in_a_process(partial(drive, make, epochs, manifest, None)) == 0
