"""A wakeup that is closed is left alone by whoever notifies it late."""

from __future__ import annotations

import os
import select

import pytest

from conveyor.errors import RunError
from conveyor.runtime.shm.wakeup import GuardedWakeup, Wakeup


def is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


@pytest.mark.parametrize("kind", [Wakeup, GuardedWakeup])
@pytest.mark.parametrize("blocking", [True, False])
def test_a_notification_before_it_is_waited_for_is_not_lost(
    kind: type[Wakeup], blocking: bool
) -> None:
    wakeup = kind.create(blocking)
    wakeup.notify()
    wakeup.notify()

    assert is_readable(wakeup.read_fd)
    wakeup.wait()
    assert not is_readable(wakeup.read_fd)
    wakeup.close()


def test_that_somebody_else_has_closed_it_is_told_with_what_to_do() -> None:
    """As a job does that closes whatever is open."""
    wakeup = Wakeup.create(blocking=False)
    wakeup.close()

    with pytest.raises(RunError, match=r"closed.*in a program of its own: subprocess.run"):
        wakeup.notify()


def test_what_is_notified_once_it_is_closed_writes_into_no_other_file() -> None:
    reader, writer = os.pipe()
    wakeup = GuardedWakeup.create(blocking=False)
    number = wakeup.write_fd
    wakeup.close()
    os.dup2(writer, number)  # as the next file that is opened may get the number

    wakeup.notify()
    wakeup.close()

    assert not is_readable(reader)
    os.fstat(number)  # is open still
    for fd in (reader, writer, number):
        os.close(fd)
