"""Topics for tests, and what readers of what is committed see of one: by the log itself and not by
what a client or a broker leaves out of it.

Knows: Kafka's protocol, as far as records and the ends of transactions go.  Must never know: who
wrote them.

A transaction is ended by a control record of its producer, which says whether it was committed.
Brokers also list those that were aborted, for clients to leave out; tansu lists none, so its
clients see them.  Whoever reads the control records needs no list.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple

__all__ = ["committed", "created", "removed"]

FETCH: Final = 1
VERSION: Final = 4  # the oldest that brokers of today know
BATCH: Final = struct.Struct(">qiibIhiqqqhii")
TRANSACTIONAL, CONTROL = 1 << 4, 1 << 5  # attributes of a batch
COMMIT: Final = 1  # the kind of a control record; 0: abort
MOST: Final = 1 << 24  # bytes
WAIT_MS: Final = 100  # at the end of the log
PATIENCE_S: Final = 60.0


class Batch(NamedTuple):
    """Records that were written together: keys and values."""

    attributes: int
    producer: int
    records: list[tuple[bytes | None, bytes | None]]

    def ends(self, other: Batch) -> bool:
        """Is it the control record of the transaction that another one, before it, belongs to?"""
        return bool(self.attributes & CONTROL) and self.producer == other.producer

    @property
    def commits(self) -> bool:
        key, _ = self.records[0]
        return key is not None and bool(struct.unpack(">hh", key)[1] == COMMIT)


def administrator(servers: str) -> Any:
    module: Any = import_module("confluent_kafka.admin")
    return module.AdminClient({"bootstrap.servers": servers})


def created(servers: str, name: str, partitions: int = 3) -> str:
    """Makes a topic, and gives its name."""
    module: Any = import_module("confluent_kafka.admin")
    topic = module.NewTopic(name, partitions, 1)
    client = administrator(servers)
    for made in client.create_topics([topic]).values():
        made.result(PATIENCE_S)
    return name


def removed(servers: str, name: str) -> None:
    """Removes a topic."""
    client = administrator(servers)
    for gone in client.delete_topics([name]).values():
        gone.result(PATIENCE_S)


def committed(servers: str, topic: str) -> list[bytes]:
    """The values of the records of a topic that readers of what is committed get, partition by
    partition: none behind a transaction that has not ended."""
    partitions = (
        administrator(servers).list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
    )
    return [value for each in sorted(partitions) for value in of_partition(servers, topic, each)]


def of_partition(servers: str, topic: str, partition: int) -> Iterator[bytes]:
    there = [*batches(servers, topic, partition)]
    for at, batch in enumerate(there):
        if batch.attributes & CONTROL:
            continue
        if batch.attributes & TRANSACTIONAL:
            ends = (end for end in there[at:] if end.ends(batch))
            end = next(ends, None)
            if end is None:
                return  # readers wait here until it has ended
            if not end.commits:
                continue
        yield from (value for _, value in batch.records if value is not None)


def batches(servers: str, topic: str, partition: int) -> Iterator[Batch]:
    """All that is in the log of a partition, in order."""
    offset = 0
    while data := fetched(servers, topic, partition, offset):
        at = 0
        while at + BATCH.size <= len(data):
            header = BATCH.unpack_from(data, at)
            base, length, _, _, _, attributes, last, _, _, producer, _, _, count = header
            assert not attributes & 0b111, "it is compressed"
            if base + last >= offset:
                records = Records(data, at + BATCH.size)
                yield Batch(attributes, producer, [records.next() for _ in range(count)])
            offset = base + last + 1
            at += 12 + length


def fetched(servers: str, topic: str, partition: int, offset: int) -> bytes:
    """The batches from an offset on, as they lie in the log; nothing at its end."""
    name = struct.pack(">h", len(topic)) + topic.encode()
    body = struct.pack(">iiiib", -1, WAIT_MS, 1, MOST, 0) + struct.pack(">i", 1) + name
    body += struct.pack(">iiqi", 1, partition, offset, MOST)
    request = struct.pack(">hhih", FETCH, VERSION, 0, 0) + body
    host, _, port = servers.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answers:
            (size,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(size)
    if len(answer) < 4 + 4 + 4 + len(name):  # it names no topic: there is nothing
        return b""
    at = 4 + 4 + 4 + len(name) + 4  # past the request's number, what is throttled, and the topic
    _, error, _, _, aborted = struct.unpack_from(">ihqqi", answer, at)
    assert not error, error
    at += struct.calcsize(">ihqqi") + 16 * max(aborted, 0)
    (size,) = struct.unpack_from(">i", answer, at)
    return answer[at + 4 : at + 4 + max(size, 0)]


class Records:
    """Reads the records of a batch one by one."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def next(self) -> tuple[bytes | None, bytes | None]:
        """The key and the value of the next one."""
        length = self.number()
        behind = self.at + length
        self.at += 1  # its attributes
        self.number()  # when it was written
        self.number()  # its offset
        key, value = self.part(), self.part()
        self.at = behind
        return key, value

    def part(self) -> bytes | None:
        size = self.number()
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        """A number of as many bytes as it needs, the sign in its lowest bit."""
        found = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (found >> 1) ^ -(found & 1)
