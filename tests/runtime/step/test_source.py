"""How items are pulled: never further than asked, and what goes wrong in the source comes at its
turn."""

from collections.abc import Iterator

import pytest

from conveyor.runtime.step.source import Puller


def two_and_then(error: BaseException) -> Iterator[int]:
    yield 1
    yield 2
    raise error


def test_what_came_before_an_error_of_the_source_is_given_first() -> None:
    puller = Puller(two_and_then(OSError("gone")))

    assert puller.pull(5) == [1, 2]
    with pytest.raises(OSError, match="gone"):
        puller.pull(5)


def test_an_interrupt_waits_for_nothing() -> None:
    puller = Puller(two_and_then(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        puller.pull(5)


@pytest.mark.parametrize(
    "items",
    [[1, 2, 3], (1, 2, 3), range(1, 4), iter([1, 2, 3])],
    ids=lambda items: type(items).__name__,
)
def test_items_come_in_slices_until_there_are_no_more(items: list[int]) -> None:
    puller = Puller(items)

    assert (puller.pull(2), puller.exhausted) == ([1, 2], False)
    assert (puller.pull(2), puller.exhausted) == ([3], True)
