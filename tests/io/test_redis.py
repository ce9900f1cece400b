"""A stream of a real Redis as source and as sink, where `make services` has started one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipeline, Processor
from conveyor.errors import ConveyorError
from conveyor.io import RedisStream
from conveyor.io.redis_stream import RedisEntry, RedisId
from tests.helpers import PROVE
from tests.io.crashes import drive, killed_and_resumed
from tests.io.services import service

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]


@pytest.fixture
def client() -> Iterator[Any]:
    url = service("redis")
    redis = pytest.importorskip("redis", reason="redis is not installed").Redis.from_url(url)
    yield redis
    for key in redis.scan_iter(f"test-{os.getpid()}*"):
        redis.delete(key)
    redis.close()


@pytest.fixture
def stream(client: Any, request: pytest.FixtureRequest) -> str:
    name = f"test-{os.getpid()}-{abs(hash(request.node.name)):x}"
    return name


def numbers(entries: list[RedisEntry]) -> list[int]:
    return [int(entry.fields[b"n"]) for entry in entries]


def stored(stream: str) -> list[int]:
    return numbers([*RedisStream(service("redis"), stream, idle_s=0.001)])


def test_entries_come_in_order_from_any_position(client: Any, stream: str) -> None:
    for n in range(700):
        client.xadd(stream, {"n": n, "name": f"name {n}"})
    source = RedisStream(service("redis"), stream, idle_s=0.01)

    pairs = list(source.open(None))

    assert [entry.fields for entry, _ in pairs] == [
        {b"n": b"%d" % n, b"name": b"name %d" % n} for n in range(700)
    ]
    positions = [position for _, position in pairs]
    assert positions == sorted(positions)
    for read in (1, 499, 500, 501, 700):
        position: RedisId = pickle.loads(pickle.dumps(positions[read - 1]))
        assert numbers([entry for entry, _ in source.open(position)]) == list(range(read, 700))


def test_what_is_added_while_it_is_read_is_read_too(client: Any, stream: str) -> None:
    client.xadd(stream, {"n": 0})
    source = RedisStream(service("redis"), stream, idle_s=5).open(None)

    assert next(source)[0].fields == {b"n": b"0"}
    client.xadd(stream, {"n": 1})
    assert next(source)[0].fields == {b"n": b"1"}


def test_a_group_shares_a_stream_and_gives_again_what_was_not_acknowledged(
    client: Any, stream: str
) -> None:
    for n in range(10):
        client.xadd(stream, {"n": n})

    def member(name: str) -> RedisStream:
        return RedisStream(service("redis"), stream, group="g", consumer=name, idle_s=0.01)

    entries = list(member("one").open(None))
    assert numbers([entry for entry, _ in entries]) == list(range(10))
    assert list(member("two").open(None)) == []

    member("one").forget(entries[3][1])
    assert client.xpending(stream, "g")["pending"] == 6
    assert numbers([*member("one")]) == list(range(4, 10))
    rest = [entry for entry, _ in member("one").open(entries[6][1])]
    assert numbers(rest) == list(range(7, 10))
    assert client.xpending(stream, "g")["pending"] == 3


def test_told_to_end_it_still_gives_what_was_there(client: Any, stream: str) -> None:
    for n in range(10):
        client.xadd(stream, {"n": n})
    source = RedisStream(service("redis"), stream, until=lambda: True)
    assert numbers([*source]) == list(range(10))

    member = RedisStream(service("redis"), stream, group="g", consumer="c", until=lambda: True)
    assert numbers([*member]) == list(range(10))
    client.xadd(stream, {"n": 10})
    assert numbers([*member]) == list(range(11))  # those that were not acknowledged, and new ones


def test_a_run_goes_from_a_stream_into_a_stream(client: Any, stream: str) -> None:
    for n in range(1200):
        client.xadd(stream, {"n": n})

    def doubled(entry: RedisEntry) -> dict[str, int]:
        return {"n": 2 * int(entry.fields[b"n"])}

    source = RedisStream(service("redis"), stream, group="g", consumer="c", idle_s=0.01)
    pl = Pipeline[RedisEntry](start_method="fork").add(Processor(doubled))
    pl.drain(source, into=RedisStream(service("redis"), f"{stream}-out"))

    assert stored(f"{stream}-out") == list(range(0, 2400, 2))
    assert client.xpending(stream, "g")["pending"] == 0  # all are through, so none is kept


def test_a_run_that_fails_leaves_nothing(client: Any, stream: str) -> None:
    pl = Pipeline[int](start_method="fork").add(Processor(lambda n: {"n": 1 // (900 - n)}))

    with pytest.raises(ZeroDivisionError):
        pl.drain(range(1000), into=RedisStream(service("redis"), stream))

    assert client.keys(f"{stream}*") == []


def test_a_commit_that_the_server_refuses_leaves_nothing(client: Any, stream: str) -> None:
    client.set(stream, "no stream")
    pl = Pipeline[int](start_method="fork").add(Processor(lambda n: {"n": n}))

    with pytest.raises(Exception, match="WRONGTYPE"):
        pl.drain(range(10), into=RedisStream(service("redis"), stream))

    assert client.keys(f"{stream}*") == [stream.encode()]


EPOCHS = [[[{"n": 0}, {"n": 1}], [{"n": 2}]], [[{"n": 3}]], [], [[{"n": n} for n in range(4, 700)]]]


def test_the_death_before_any_step_leaves_the_entries_of_an_undisturbed_run(
    client: Any, stream: str, tmp_path: Path
) -> None:
    make = partial(RedisStream, service("redis"), stream)
    (tmp_path / "first").mkdir()
    steps = drive(make, EPOCHS, tmp_path / "first", None)
    assert steps > 15

    for dies_at in range(0, steps, 1 if PROVE else 5):
        client.delete(stream)
        killed_and_resumed(make, EPOCHS, tmp_path / str(dies_at), [dies_at, dies_at // 2])
        assert stored(stream) == list(range(700)), dies_at


def test_a_stream_that_is_ahead_of_the_checkpoint_is_refused(client: Any, stream: str) -> None:
    sink = RedisStream(service("redis"), stream)
    assert sink.open(0) == -1
    for epoch in range(2):
        sink.write([{"n": epoch}])
        sink.prepare(epoch)
        sink.commit(epoch)
        sink.commit(epoch)

    assert stored(stream) == [0, 1]
    assert RedisStream(service("redis"), stream).open(2) == 1
    with pytest.raises(ConveyorError, match="holds epoch 1 already"):
        sink.open(1)


def test_a_group_without_a_consumer_is_refused() -> None:
    with pytest.raises(ValueError, match="group and consumer belong together"):
        RedisStream("redis://localhost", "s", group="g")
