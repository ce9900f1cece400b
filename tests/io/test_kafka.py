"""A topic of a real broker as source and as sink, where `make services` has started one.

That one, tansu, writes into its log which transactions were committed and which were aborted, and
gives up those of a producer whose name another one takes; but it does not list for clients what was
aborted.  So what is committed is read from the log (`topics`), and by a client as well where
CONVEYOR_KAFKA names a broker that does.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from conveyor import Checkpoint, Pipeline, Processor
from conveyor.errors import ConveyorError
from conveyor.io import Kafka, KafkaMessage, KafkaRecord
from conveyor.io.kafka import KafkaPosition
from tests.io.crashes import KILLED, drive, in_a_process, killed_and_resumed
from tests.io.services import service
from tests.io.topics import committed, created

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]


@pytest.fixture
def servers() -> str:
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")
    return service("kafka").removeprefix("kafka://").removesuffix("/")


@pytest.fixture
def topic(servers: str, request: pytest.FixtureRequest) -> str:
    return created(servers, f"test-{os.getpid()}-{abs(hash(request.node.name)):x}")


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

# What the client asks of the broker: a kill before one of these leaves another state than behind.
CALLS = "init_transactions begin_transaction flush send_offsets_to_transaction commit_transaction"


def calls_of_the_client(step: Callable[[], None]) -> AbstractContextManager[object]:
    """Has `step` called before each call to a producer, and before each hundredth record."""
    real: Any = import_module("confluent_kafka").Producer

    def stepped(name: str) -> Any:
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            step()
            return getattr(real, name)(self, *arguments, **options)

        return call

    def produce(self: Any, *arguments: Any, value: bytes | str, **options: Any) -> None:
        if int(value) % 100 == 0:
            step()
        real.produce(self, *arguments, value=value, **options)

    calls = {name: stepped(name) for name in CALLS.split()}
    producer = type("Stepped", (real,), {**calls, "produce": produce})
    return patch("confluent_kafka.Producer", producer)


def shows_what_was_aborted(servers: str, topic: str) -> bool:
    sink = Kafka(servers, topic)
    sink.open(0)
    sink.write(["0"])
    sink._under_way().flush()  # pyright: ignore[reportPrivateUsage]  # there is no public way to send and not commit
    sink.abort()
    return [*Kafka(servers, topic, idle_s=0.5)] != []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(4))
def test_the_death_before_any_step_leaves_the_records_of_an_undisturbed_run(
    servers: str, topic: str, tmp_path: Path, first: int
) -> None:
    hidden = not shows_what_was_aborted(servers, topic)
    (tmp_path / "first").mkdir()
    make = partial(Kafka, servers, topic)
    steps = drive(make, EPOCHS, tmp_path / "first", None, calls_of_the_client)
    assert steps > 40

    for dies_at in range(first, steps, 4):
        name = created(servers, f"{topic}-{dies_at}", 1)
        make = partial(Kafka, servers, name)
        deaths = [dies_at, dies_at // 2]
        killed_and_resumed(make, EPOCHS, tmp_path / str(dies_at), deaths, calls_of_the_client)
        wanted = [b"%d" % n for n in range(300)]
        assert committed(servers, name) == wanted, dies_at
        if hidden:
            assert [record.value for record in Kafka(servers, name, idle_s=0.5)] == wanted


def test_what_was_begun_by_a_program_that_goes_on_is_given_up_once_another_opens_the_topic(
    servers: str, topic: str
) -> None:
    """Two programs that write into one topic: the older, which does not know of the other."""
    older = Kafka(servers, topic)
    older.open(0)
    older.write(["old"])
    older.prepare(0)

    newer = Kafka(servers, topic)
    assert newer.open(0) == -1
    newer.write(["new"])
    newer.prepare(0)
    newer.commit(0)

    refused = import_module("confluent_kafka").KafkaException  # tansu gives no reason
    with patch("conveyor.io.kafka.PATIENCE_S", 5.0), pytest.raises(refused):
        older.commit(0)
    assert committed(servers, topic) == [b"new"]


def kept_drain(servers: str, name: str, state: Path) -> None:
    pl = Pipeline[str](start_method="fork").add(Processor(str.strip))
    numbers = [str(n) for n in range(300)]
    # An epoch as often as can be: there are several, however fast it is
    pl.drain(numbers, into=Kafka(servers, name), checkpoint=Checkpoint(state, every_s=1e-6))


@pytest.mark.parametrize("step", ["open", "write", "prepare", "commit"])
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_a_kept_drain_that_is_killed_goes_on_and_each_record_is_committed_once(
    servers: str, topic: str, tmp_path: Path, step: str, behind: bool
) -> None:
    name = created(servers, f"{topic}-drained", 1)

    def dies() -> None:
        os.setsid()
        original, left = getattr(Kafka, step), 1 if step == "open" else 2

        def call(self: Any, *arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if not behind and not left:
                os.killpg(0, signal.SIGKILL)
            given = original(self, *arguments)
            if behind and not left:
                os.killpg(0, signal.SIGKILL)
            return given

        with patch.object(Kafka, step, call):
            kept_drain(servers, name, tmp_path / "state")

    assert in_a_process(dies) == KILLED
    assert in_a_process(partial(kept_drain, servers, name, tmp_path / "state")) == 0
    assert committed(servers, name) == [b"%d" % n for n in range(300)]
