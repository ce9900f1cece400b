"""A topic of a real broker as source and as sink, where `make services` has started one.

That one, tansu, shows what was aborted also to readers of what is committed; what depends on that
is skipped there, and runs where CONVEYOR_KAFKA names the broker of Apache Kafka.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipeline, Processor
from conveyor.errors import ConveyorError
from conveyor.io import Kafka, KafkaMessage, KafkaRecord
from conveyor.io.kafka import KafkaPosition
from tests.io.crashes import drive, killed_and_resumed
from tests.io.services import service

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]


@pytest.fixture
def servers() -> str:
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")
    return service("kafka").removeprefix("kafka://").removesuffix("/")


@pytest.fixture
def topic(servers: str, request: pytest.FixtureRequest) -> str:
    return created(servers, f"test-{os.getpid()}-{abs(hash(request.node.name)):x}")


def created(servers: str, name: str, partitions: int = 3) -> str:
    from importlib import import_module

    admin: Any = import_module("confluent_kafka.admin")
    client = admin.AdminClient({"bootstrap.servers": servers})
    for made in client.create_topics([admin.NewTopic(name, partitions, 1)]).values():
        made.result(30)
    return name


def sent(sink: Kafka, epochs: Sequence[Sequence[Any]]) -> None:
    sink.open(0)
    for epoch, items in enumerate(epochs):
        sink.write(items)
        sink.prepare(epoch)
        sink.commit(epoch)


def by_partition(records: list[KafkaRecord]) -> list[list[int]]:
    return [
        [int(record.value or b"") for record in records if record.partition == number]
        for number in range(3)
    ]


def test_each_partition_comes_in_order_from_any_position(servers: str, topic: str) -> None:
    messages = [KafkaMessage(str(n), key=str(n % 7)) for n in range(100)]
    sent(Kafka(servers, topic), [messages[:50], messages[50:]])
    source = Kafka(servers, topic, idle_s=0.5)

    pairs = list(source.open(None))

    whole = by_partition([record for record, _ in pairs])
    assert sorted(n for part in whole for n in part) == list(range(100))
    for part in whole:
        assert part == sorted(part)
    assert all(record.key == b"%d" % (int(record.value or b"") % 7) for record, _ in pairs)
    for read in (1, 60, 100):
        position: KafkaPosition = pickle.loads(pickle.dumps(pairs[read - 1][1]))
        before = by_partition([record for record, _ in pairs[:read]])
        rest = by_partition([record for record, _ in source.open(position)])
        assert [b + r for b, r in zip(before, rest, strict=True)] == whole


def test_a_run_goes_from_a_topic_into_a_topic(servers: str, topic: str) -> None:
    sent(Kafka(servers, topic), [[b"%d" % n for n in range(1000)]])
    out = created(servers, f"{topic}-out", 1)

    def doubled(record: KafkaRecord) -> KafkaMessage:
        return KafkaMessage(str(2 * int(record.value or b"")), headers=(("from", record.value),))

    pl = Pipeline[KafkaRecord](start_method="fork").add(Processor(doubled))
    pl.drain(Kafka(servers, topic, idle_s=0.5), into=Kafka(servers, out))

    found = [*Kafka(servers, out, idle_s=0.5)]
    assert sorted(int(record.value or b"") for record in found) == list(range(0, 2000, 2))
    assert int(found[0].headers[0][1] or b"") * 2 == int(found[0].value or b"")


def test_the_topic_says_which_epoch_it_holds(servers: str, topic: str) -> None:
    sink = Kafka(servers, topic)
    assert sink.open(0) == -1
    for epoch in range(2):
        sink.write([str(epoch)])
        sink.prepare(epoch)
        sink.commit(epoch)
        sink.commit(epoch)

    after_a_crash = Kafka(servers, topic)
    assert after_a_crash.open(2) == 1
    after_a_crash.prepare(2)  # and dies before it commits: the transaction is given up
    assert Kafka(servers, topic).open(3) == 1
    with pytest.raises(ConveyorError, match="holds epoch 1 already"):
        Kafka(servers, topic).open(1)
    assert Kafka(servers, topic).open(0) == -1


def test_a_topic_that_is_not_there_is_named(servers: str) -> None:
    with pytest.raises(Exception, match=r"(?i)none-of-this|unknown"):
        next(Kafka(servers, "none-of-this", idle_s=0.1).open(None), None)


def test_it_ends_when_it_is_told_to(servers: str, topic: str) -> None:
    sent(Kafka(servers, topic), [[KafkaMessage(str(n)) for n in range(100)]])
    seen: list[KafkaRecord] = []

    for record in Kafka(servers, topic, until=lambda: len(seen) >= 100):
        seen.append(record)

    assert sorted(n for part in by_partition(seen) for n in part) == list(range(100))


EPOCHS = [[["0", "1"], ["2"]], [["3"]], [], [[str(n) for n in range(4, 300)]]]


def shows_what_was_aborted(servers: str, topic: str) -> bool:
    sink = Kafka(servers, topic)
    sink.open(0)
    sink.write(["aborted"])
    sink._under_way().flush()  # pyright: ignore[reportPrivateUsage]  # there is no public way to send and not commit
    sink.abort()
    return [*Kafka(servers, topic, idle_s=0.5)] != []


def test_the_death_before_any_step_leaves_the_records_of_an_undisturbed_run(
    servers: str, topic: str, tmp_path: Path
) -> None:
    if shows_what_was_aborted(servers, topic):
        pytest.skip("this broker shows what was aborted to readers of what is committed")
    (tmp_path / "first").mkdir()
    steps = drive(partial(Kafka, servers, topic), EPOCHS, tmp_path / "first", None)

    for dies_at in range(0, steps, 3):
        name = created(servers, f"{topic}-{dies_at}", 1)
        make = partial(Kafka, servers, name)
        killed_and_resumed(make, EPOCHS, tmp_path / str(dies_at), [dies_at, dies_at // 2])
        found = [int(record.value or b"") for record in Kafka(servers, name, idle_s=0.5)]
        assert found == list(range(300)), dies_at
