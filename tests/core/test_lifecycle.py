"""What may be done with a pipeline, and when."""

from __future__ import annotations

from itertools import product

import pytest

from conveyor.core.lifecycle import Call, Lifecycle, State
from conveyor.errors import LifecycleError

ADD, OPEN, CLOSE, ENTER, EXIT, START, BE_ADDED = Call
ENDED = None  # the run that START began has ended

# What one may do first, and what is then refused.
ALLOWED: dict[tuple[Call | None, ...], set[Call]] = {
    (): {ADD, OPEN, ENTER, START, BE_ADDED},
    (ADD,): {ADD, OPEN, ENTER, START, BE_ADDED},
    (OPEN,): {CLOSE, START},
    (OPEN, CLOSE): {OPEN, ENTER, START, BE_ADDED},
    (OPEN, CLOSE, OPEN): {CLOSE, START},
    (ENTER,): {ADD, EXIT, START, BE_ADDED},
    (ENTER, ADD): {ADD, EXIT, START, BE_ADDED},
    (ENTER, EXIT): {OPEN, ENTER, START, BE_ADDED},
    (START,): {EXIT},
    (START, ENDED): {OPEN, ENTER, START, BE_ADDED},
    (OPEN, START): {EXIT},
    (OPEN, START, ENDED): {CLOSE, START},
    (ENTER, START): {EXIT},
    (ENTER, START, ENDED): {EXIT, START},
    (ENTER, START, EXIT): {EXIT},  # the run is told to end
    (ENTER, START, EXIT, ENDED): {OPEN, ENTER, START, BE_ADDED},
}

WARM: set[tuple[Call | None, ...]] = {
    (OPEN,),
    (OPEN, START),
    (OPEN, START, ENDED),
    (OPEN, CLOSE, OPEN),
    (ENTER,),
    (ENTER, ADD),
    (ENTER, START),
    (ENTER, START, ENDED),
}


def after(calls: tuple[Call | None, ...]) -> Lifecycle:
    cycle = Lifecycle()
    for call in calls:
        if call is None:
            cycle.run_ended()
        else:
            cycle.call(call)
    return cycle


@pytest.mark.parametrize(("calls", "call"), list(product(ALLOWED, Call)), ids=str)
def test_each_call_is_taken_or_refused_and_a_refusal_changes_nothing(
    calls: tuple[Call | None, ...], call: Call
) -> None:
    cycle = after(calls)
    before = (cycle.state, cycle.fixed, cycle.is_warm)
    if call in ALLOWED[calls]:
        cycle.check(call)
        cycle.call(call)
    else:
        for refused in (cycle.check, cycle.call):
            with pytest.raises(LifecycleError):
                refused(call)
        assert (cycle.state, cycle.fixed, cycle.is_warm) == before


@pytest.mark.parametrize("calls", ALLOWED, ids=str)
def test_workers_are_kept_between_open_and_close_and_inside_with(
    calls: tuple[Call | None, ...],
) -> None:
    assert after(calls).is_warm == (calls in WARM)


@pytest.mark.parametrize("calls", ALLOWED, ids=str)
def test_each_refusal_has_a_text_that_begins_with_the_call(calls: tuple[Call | None, ...]) -> None:
    cycle = after(calls)
    texts: list[str] = []
    for call in Call:
        if call not in ALLOWED[calls]:
            with pytest.raises(LifecycleError) as refused:
                cycle.call(call)
            texts.append(str(refused.value))
            assert call is START or str(refused.value).startswith(call.value)
    assert len(set(texts)) == len(texts)


def test_what_the_table_does_not_know_is_refused_with_the_state() -> None:
    with pytest.raises(LifecycleError, match="the end of `with`: the pipeline is being written"):
        Lifecycle().call(Call.EXIT)


def test_a_run_inside_with_fixes_the_topology_for_good() -> None:
    cycle = after((ENTER, START, ENDED))

    assert cycle.state is State.INSIDE
    with pytest.raises(LifecycleError, match="once a pipeline has been opened or run"):
        cycle.call(ADD)


def test_a_run_that_has_ended_may_be_told_so_again() -> None:
    cycle = after((START, ENDED))
    cycle.run_ended()

    assert cycle.state is State.FIXED
