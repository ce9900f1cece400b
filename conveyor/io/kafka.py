"""Topics of Kafka, as a source and as a sink, by confluent-kafka.

Knows: partitions, offsets and transactions.  Must never know: what a value means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, overload

from conveyor.errors import ConveyorError
from conveyor.io.held import check_not_ahead
from conveyor.io.paths import needed
from conveyor.io.reading import Readable
from conveyor.io.waiting import Patience

__all__ = ["Kafka", "KafkaMessage", "KafkaPosition", "KafkaRecord"]

BATCH: Final = 500
POLL_S: Final = 0.2
PATIENCE_S: Final = 60.0
# The longest that brokers allow by default: an epoch has to be through in that time.
TRANSACTION_MS: Final = 900_000


class KafkaPosition(NamedTuple):
    """The offset behind what was read of each partition, by its number; -1: nothing was."""

    offsets: tuple[int, ...]


class KafkaRecord(NamedTuple):
    """A record of a topic."""

    value: bytes | None
    key: bytes | None
    partition: int
    offset: int
    timestamp_ms: int
    headers: tuple[tuple[str, bytes | None], ...]


class KafkaMessage(NamedTuple):
    """What is written into a topic where it has a key or headers; records with the same key go to
    the same partition."""

    value: bytes | str | None
    key: bytes | str | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


Message: TypeAlias = bytes | str | KafkaMessage | KafkaRecord


class Kafka(Readable[KafkaRecord, KafkaPosition]):
    """A topic of Kafka, as a source without an end and as a sink; it needs confluent-kafka.

    `servers` are those to begin with, `localhost:9092`; `config` is handed to the client, for
    whatever else is to be set.  As a source it gives `KafkaRecord`, of all partitions, each in its
    order, and only what is committed; the position is an offset a partition.  `idle_s` ends it when
    none has come for so many seconds; `until`, a function without arguments, when it gives True, so
    that the program can end in good order.  Partitions that are added are read from the next
    opening on.

    As a sink it takes bytes, texts, `KafkaMessage` for what has a key, and `KafkaRecord`.  Exactly
    once for readers of what is committed: the records of an epoch and its number, kept as the
    offset of the consumer group `conveyor-<topic>`, are one transaction.  An epoch has to be
    through in 15 minutes; one run with a checkpoint writes into a topic at a time.
    """

    def __init__(
        self,
        servers: str,
        topic: str,
        *,
        idle_s: float | None = None,
        until: Callable[[], bool] | None = None,
        config: Mapping[str, object] | None = None,
    ) -> None:
        self.servers = servers
        self.topic = topic
        self.idle_s = idle_s
        self.until = until
        self.config = {"bootstrap.servers": servers, **(config or {})}
        self.group = f"conveyor-{topic}"
        self.producer: Any = None
        self.failed: list[object] = []

    def identity(self) -> str:
        """The kind of store, and where."""
        return f"Kafka {self.servers} {self.topic}"

    def __repr__(self) -> str:
        return f"<{self.identity()}>"

    @overload
    def open(
        self, position: KafkaPosition | None, /
    ) -> Iterator[tuple[KafkaRecord, KafkaPosition]]: ...
    @overload
    def open(self, position: int, /) -> int: ...
    def open(self, position: KafkaPosition | int | None, /) -> Any:
        """As a source: the records behind a position, each with the position behind it.  As a sink:
        an epoch begins; gives the newest one that the topic holds, -1 for none."""
        if isinstance(position, int):
            return self._begin(position)
        return self._records(position)

    def _consumer(self) -> Any:
        return needed("confluent_kafka", "kafka").Consumer(
            {
                "group.id": self.group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                **self.config,
            }
        )

    # ---------------------------------------------------------------------------
    # as a source

    def _records(
        self, position: KafkaPosition | None
    ) -> Iterator[tuple[KafkaRecord, KafkaPosition]]:
        client = needed("confluent_kafka", "kafka")
        consumer = self._consumer()
        try:
            offsets = self._beginnings(consumer, position)
            consumer.assign(
                [
                    client.TopicPartition(
                        self.topic, number, offset if offset >= 0 else client.OFFSET_BEGINNING
                    )
                    for number, offset in enumerate(offsets)
                ]
            )
            patience = Patience(self.idle_s, self.until)
            while True:
                found = consumer.consume(BATCH, patience.look_s())
                for message in found:
                    if message.error() is not None:
                        raise client.KafkaException(message.error())
                    record = record_of(message)
                    offsets[record.partition] = record.offset + 1
                    yield record, KafkaPosition(tuple(offsets))
                if found:
                    patience.came()
                if not patience.again(0):
                    return
        finally:
            consumer.close()

    def _beginnings(self, consumer: Any, position: KafkaPosition | None) -> list[int]:
        """Where each partition is read from; raises `ConveyorError` if the topic is not there."""
        found = consumer.list_topics(self.topic, timeout=PATIENCE_S).topics[self.topic]
        if found.error is not None or not found.partitions:
            raise ConveyorError(f"{self.identity()}: {found.error or 'it has no partitions'}")
        known = position.offsets if position is not None else ()
        return [*known, *[-1] * (len(found.partitions) - len(known))]

    # ---------------------------------------------------------------------------
    # as a sink

    def _begin(self, epoch: int) -> int:
        self.abort()
        client = needed("confluent_kafka", "kafka")
        producer = self._ready()  # no transaction of an earlier program is open from here on
        if epoch == 0:  # what older runs left is forgotten
            producer.begin_transaction()
            self._note(producer, -1)
            producer.commit_transaction(PATIENCE_S)
        consumer = self._consumer()
        try:
            (found,) = consumer.committed([client.TopicPartition(self.topic, 0)], PATIENCE_S)
        finally:
            consumer.close()
        held = max(int(found.offset), 0) - 1
        return check_not_ahead(held, epoch, self.identity(), "records", "topic")

    def _ready(self) -> Any:
        """A new producer, the only one of its name that may go on."""
        producer = needed("confluent_kafka", "kafka").Producer(
            {
                "transactional.id": self.group,
                "transaction.timeout.ms": TRANSACTION_MS,
                **self.config,
            }
        )
        producer.init_transactions(PATIENCE_S)
        return producer

    def _note(self, producer: Any, epoch: int) -> None:
        """The number of the epoch is part of the transaction."""
        client = needed("confluent_kafka", "kafka")
        consumer = self._consumer()
        try:
            producer.send_offsets_to_transaction(
                [client.TopicPartition(self.topic, 0, epoch + 1)],
                consumer.consumer_group_metadata(),
                PATIENCE_S,
            )
        finally:
            consumer.close()

    def _under_way(self) -> Any:
        if self.producer is None:
            self.producer = self._ready()
            self.producer.begin_transaction()
        return self.producer

    def write(self, items: Sequence[Message], /) -> None:
        """Adds records to the transaction of the epoch."""
        producer = self._under_way()
        for item in items:
            message = item if isinstance(item, KafkaMessage | KafkaRecord) else KafkaMessage(item)
            while True:
                try:
                    producer.produce(
                        self.topic,
                        value=message.value,
                        key=message.key,
                        headers=list(message.headers),
                        on_delivery=self._delivered,
                    )
                    break
                except BufferError:  # so many wait to be sent
                    producer.poll(POLL_S)
        producer.poll(0)
        self._check()

    def _delivered(self, error: object, message: object) -> None:
        if error is not None:
            self.failed.append(error)

    def _check(self) -> None:
        """Raises for a record that the servers did not take."""
        if self.failed:
            error = self.failed[0]
            self.failed = []
            raise needed("confluent_kafka", "kafka").KafkaException(error)

    def prepare(self, epoch: int, /) -> None:
        """The records of the epoch are with the servers, and so is its number."""
        producer = self._under_way()
        if producer.flush(PATIENCE_S):
            raise TimeoutError(f"{self.identity()}: records were not taken for {PATIENCE_S:.0f} s")
        self._check()
        self._note(producer, epoch)

    def commit(self, epoch: int, /) -> None:
        """The records of the epoch are in the topic, and its number is beside them."""
        if self.producer is not None:
            self.producer.commit_transaction(PATIENCE_S)
            self.producer = None  # kept for `abort`, if that fails: readers wait for the end of it

    def abort(self) -> None:
        """The transaction of the epoch is given up."""
        producer, self.producer, self.failed = self.producer, None, []
        if producer is not None:
            producer.abort_transaction(PATIENCE_S)


def record_of(message: Any) -> KafkaRecord:
    return KafkaRecord(
        message.value(),
        message.key(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        tuple(message.headers() or ()),
    )
