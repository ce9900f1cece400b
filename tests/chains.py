"""Random pipelines, and items for them, as Hypothesis draws them: `chains` and `values` of the
reference model."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.model import (
    CHANGES,
    Buffer,
    Census,
    Chain,
    Copies,
    Diamond,
    Drop,
    Forks,
    Gathered,
    Hands,
    HeldUp,
    Joins,
    Keep,
    Look,
    Map,
    Numbered,
    Part,
    Waiting,
    is_exact,
    wrapped,
)

__all__ = ["chains", "values"]

MOST_WORKERS = 10
FUNCTIONS = (Hands.THREADS, Hands.COROUTINES)

values = st.lists(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=12,
)


class Site:
    """Numbers the places of a topology, and counts the workers that it may still have; `hands` are
    what may have several items in hand."""

    def __init__(self, workers: int, hands: Sequence[Hands]) -> None:
        self.number = 0
        self.workers = workers
        self.hands = hands

    def next(self) -> int:
        self.number += 1
        return self.number


@st.composite
def chains(draw: st.DrawFn, hands: Sequence[Hands] = FUNCTIONS) -> Chain:
    site = Site(MOST_WORKERS, hands)
    chain = draw_chain(draw, site, depth=2, least=1, ordered=False, may_zip=True)
    if not draw(st.booleans()):
        return chain
    at = draw(st.integers(0, len(chain)))
    return *chain[:at], draw_state(draw, site, is_exact(chain[:at])), *chain[at:]


def draw_state(draw: st.DrawFn, site: Site, is_in_order: bool) -> Part:
    """A stage that keeps a state; most depend on the order of their items, which must be
    promised."""
    kinds = ["gathered"] + ["numbered", "census"] * is_in_order
    match draw(st.sampled_from(kinds)):
        case "gathered":
            return Gathered(draw(st.integers(1, 4)), draw(st.sampled_from([None, 0.001])))
        case "numbered":
            return Numbered()
        case _:
            return Census(site.next(), draw(st.sampled_from([None, 1, 2])))


def draw_chain(
    draw: st.DrawFn, site: Site, *, depth: int, least: int, ordered: bool, may_zip: bool
) -> Chain:
    """Ordered: inside an ordered join, which takes only such.  May zip: the order of the items so
    far is promised."""
    chain: list[Part] = []
    for _ in range(draw(st.integers(least, least + depth))):
        if depth and site.workers >= 2 and draw(st.booleans()):
            chain.append(
                draw_diamond(
                    draw, site, depth=depth, ordered=ordered, may_zip=may_zip and is_exact(chain)
                )
            )
        else:
            chain.append(draw_stage(draw, site, ordered))
    return tuple(chain)


def draw_stage(draw: st.DrawFn, site: Site, ordered: bool) -> Part:
    kinds = ["map", "drop", "keep", "copies", "look", "held up", "pipe"]
    kinds += ["waiting"] * (not ordered)
    kind = draw(st.sampled_from(kinds)) if site.workers > 0 else "pipe"
    if kind == "pipe":
        return Buffer(draw(st.sampled_from([1, 2, 3, 7, 16384])))
    site.workers -= 1
    match kind:
        case "map":
            return Map(draw(st.sampled_from(CHANGES)))
        case "waiting":
            change, in_hand = draw(st.sampled_from(CHANGES)), draw(st.sampled_from([1, 2, 3, 50]))
            hands = draw(st.sampled_from(site.hands))
            return Waiting(site.next(), change, in_hand, hands, draw(st.booleans()))
        case "drop":
            return Drop()
        case "keep":
            return Keep()
        case "look":
            return Look()
        case "held up":
            return HeldUp(draw(st.integers(1, 3)))
        case _:
            return Copies(site.next())


def draw_diamond(draw: st.DrawFn, site: Site, *, depth: int, ordered: bool, may_zip: bool) -> Part:
    joins = (
        [Joins.ORDERED]
        if ordered
        else [Joins.FIRST_COME] * 3 + [Joins.ORDERED] * 2 + [Joins.ZIP] * may_zip
    )
    join = draw(st.sampled_from(joins))
    forks = [Forks.REPLICATE] * 3 + [Forks.BALANCE] * 2 + [Forks.SELECT] * 2 + [Forks.ADAPT]
    fork = Forks.REPLICATE if join is Joins.ZIP else draw(st.sampled_from(forks))
    width = draw(st.integers(2, 3))
    place = site.next()
    marked = (
        fork is not Forks.ADAPT
        and join is Joins.FIRST_COME
        and draw(st.sampled_from([True, True, False]))
    )
    marked = marked or (fork is Forks.REPLICATE and join is Joins.ORDERED)
    site.workers -= width * marked
    if join is Joins.ZIP:
        lanes = draw_lanes_to_zip(draw, site, width)
    elif fork in (Forks.REPLICATE, Forks.SELECT):
        lanes = tuple(
            draw_chain(
                draw, site, depth=depth - 1, least=0, ordered=join is Joins.ORDERED, may_zip=may_zip
            )
            for _ in range(width)
        )
    else:  # all lanes alike, each with workers of its own
        share = Site(site.workers // width, site.hands)
        share.number = site.number
        lane_depth = 0 if fork is Forks.ADAPT else depth - 1
        lane = draw_chain(
            draw, share, depth=lane_depth, least=1, ordered=join is Joins.ORDERED, may_zip=False
        )
        site.number = share.number
        site.workers = share.workers * width
        lanes = (lane,) if fork is Forks.ADAPT else (lane,) * width
    return Diamond(place, fork, lanes, join, marked)


def draw_lanes_to_zip(draw: st.DrawFn, site: Site, width: int) -> tuple[Chain, ...]:
    """Lanes in step may have tight pipes; lanes that drift apart must have roomy ones, or a zip
    waits for ever."""
    site.workers -= 1  # makes one item of a tuple
    in_step = st.builds(Map, st.sampled_from(CHANGES)) | st.builds(Buffer, st.integers(1, 3))
    lanes: tuple[Chain, ...]
    if draw(st.booleans()):
        lanes = tuple(tuple(draw(st.lists(in_step, min_size=1, max_size=2))) for _ in range(width))
    else:
        apart: list[list[Part]] = [
            [Drop(), Keep(), Copies(site.next()), Map(wrapped)] for _ in range(width)
        ]
        lanes = tuple((draw(st.sampled_from(parts)),) for parts in apart)
    site.workers -= sum(not isinstance(part, Buffer) for lane in lanes for part in lane)
    return lanes
