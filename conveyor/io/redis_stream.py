"""Streams of Redis, as a source and as a sink.

Knows: ids, groups, and what one script does at once.  Must never know: what the fields mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast, overload
from urllib.parse import urlsplit

from conveyor.io.held import check_not_ahead
from conveyor.io.paths import needed
from conveyor.io.reading import Readable
from conveyor.io.schema import AnyRow, as_mapping
from conveyor.io.waiting import Patience

__all__ = ["RedisEntry", "RedisId", "RedisStream"]

BATCH: Final = 500  # entries that go to the server, or come from it, at once

# Moves what was staged into the stream, and notes the epoch, as one step of the server.
MOVE: Final = """
if tonumber(redis.call('GET', KEYS[3]) or '-1') >= tonumber(ARGV[1]) then return 0 end
local last = '-'
while true do
  local entries = redis.call('XRANGE', KEYS[1], last, '+', 'COUNT', 500)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    redis.call('XADD', KEYS[2], '*', unpack(entry[2]))
    last = '(' .. entry[1]
  end
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[3], ARGV[1])
return 1
"""

Fields: TypeAlias = dict[bytes, bytes]


class RedisId(NamedTuple):
    """The id of an entry: its time in milliseconds, and its number in that."""

    ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


class RedisEntry(NamedTuple):
    """An entry of a stream: its id, and its fields."""

    id: str
    fields: Fields


class RedisStream(Readable[RedisEntry, RedisId]):
    """A stream of Redis, as a source without an end and as a sink.

    `url` is that of the server, `redis://localhost:6379/0`; it needs the library redis.  As a
    source it gives `RedisEntry`, whose fields are bytes; the position is the id.  `idle_s` ends it
    when none has come for so many seconds; `until`, a function without arguments, when it gives
    True, so that the program can end in good order.  With `group` and `consumer` it takes the
    entries that the group gives this consumer: first those that it was given before and has not
    acknowledged, then new ones; a group that is not there is made, at the beginning of the stream.
    They are acknowledged once a run, or a checkpoint, has them for good.

    As a sink it takes rows: mappings, dataclasses, named tuples, structs, of values that Redis
    takes (texts, bytes, numbers).  Exactly once: the entries of an epoch wait in a stream beside
    it, and one script moves them and notes the number of the epoch, both under names that begin
    with that of the stream; so one run with a checkpoint writes into a stream at a time.  How
    durable that is, the server's own settings say.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        group: str | None = None,
        consumer: str | None = None,
        idle_s: float | None = None,
        until: Callable[[], bool] | None = None,
    ) -> None:
        if (group is None) != (consumer is None):
            raise ValueError("group and consumer belong together: give both, or neither")
        self.url = url
        self.stream = stream
        self.group, self.consumer = group, consumer
        self.idle_s = idle_s
        self.until = until
        # Of one slot, where the server is a cluster.
        self.staged = f"{stream}:{{{stream}}}:conveyor:staged" if "{" not in stream else ""
        self.staged = self.staged or f"{stream}:conveyor:staged"
        self.epochs = self.staged.removesuffix("staged") + "epoch"
        self.batch: list[dict[str, Any]] = []
        self.client: Any = None

    def identity(self) -> str:
        """The kind of store, and where; with no password."""
        parts = urlsplit(self.url)
        place = f"{parts.hostname or ''}:{parts.port or 6379}{parts.path}"
        group = f" group {self.group} consumer {self.consumer}" if self.group is not None else ""
        return f"RedisStream {place} {self.stream}{group}"

    def __repr__(self) -> str:
        return f"<{self.identity()}>"

    def _connect(self) -> Any:
        return needed("redis", "redis").Redis.from_url(self.url)

    @overload
    def open(self, position: RedisId | None, /) -> Iterator[tuple[RedisEntry, RedisId]]: ...
    @overload
    def open(self, position: int, /) -> int: ...
    def open(self, position: RedisId | int | None, /) -> Any:
        """As a source: the entries behind a position, each with the position behind it.  As a sink:
        an epoch begins; gives the newest one that the stream holds, -1 for none."""
        if isinstance(position, int):
            return self._begin(position)
        return self._entries(position)

    # ---------------------------------------------------------------------------
    # as a source

    def _entries(self, position: RedisId | None) -> Iterator[tuple[RedisEntry, RedisId]]:
        client = self._connect()
        patience = Patience(self.idle_s, self.until)
        # Of a group: what it has given this consumer before, and then ">", what it has not.
        behind = str(position) if position is not None else "0"
        try:
            if self.group is not None:
                self._make_group(client)
                if position is not None:
                    self._acknowledge(client, position)
            while True:
                found = self._read(client, behind, patience.look_s())
                for raw, fields in found:
                    at = id_of(raw)
                    behind = str(at) if behind != ">" else ">"
                    if fields is not None:  # else it was deleted after the group had given it
                        yield RedisEntry(str(at), fields), at
                if found:
                    patience.came()
                if self.group is not None and behind != ">":  # of those there is an end
                    behind = behind if found else ">"
                elif not patience.again(0):
                    return
        finally:
            client.close()

    def _read(self, client: Any, behind: str, look_s: float) -> list[tuple[bytes, Fields | None]]:
        """The next entries; waits so long for some."""
        block = max(1, int(1000 * look_s))  # 0 would be for ever
        if self.group is None:
            found = client.xread({self.stream: behind}, count=BATCH, block=block)
        else:
            found = client.xreadgroup(
                self.group, self.consumer, {self.stream: behind}, count=BATCH, block=block
            )
        # By the older protocol pairs of names and entries, by the newer one a mapping of lists.
        by_name: dict[bytes, Any] = dict(found or ())
        return flat(by_name.get(self.stream.encode(), []))

    def _make_group(self, client: Any) -> None:
        try:
            client.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except needed("redis", "redis").ResponseError as error:
            if "BUSYGROUP" not in str(error):  # it is there
                raise

    def forget(self, position: RedisId) -> None:
        """The entries up to a position are not asked for again: the group need not keep them."""
        if self.group is not None:
            client = self._connect()
            try:
                self._acknowledge(client, position)
            finally:
                client.close()

    def _acknowledge(self, client: Any, upto: RedisId) -> None:
        """The group forgets what it has given this consumer, up to a position."""
        while True:
            pending = client.xpending_range(
                self.stream, self.group, "-", str(upto), BATCH, self.consumer
            )
            if not pending:
                return
            client.xack(self.stream, self.group, *[each["message_id"] for each in pending])

    # ---------------------------------------------------------------------------
    # as a sink

    def _begin(self, epoch: int) -> int:
        self.abort()
        client = self._connect()
        try:
            client.delete(self.staged)
            if epoch == 0:
                client.delete(self.epochs)
            held = int(client.get(self.epochs) or -1)
        finally:
            client.close()
        return check_not_ahead(held, epoch, self.identity(), "entries", "stream")

    def write(self, items: Sequence[AnyRow], /) -> None:
        """Stages entries; raises `TypeError` for what is no row."""
        for item in items:
            row = dict(as_mapping(item))
            if not row:
                raise ValueError("an entry of a stream has one field at least")
            self.batch.append(row)
            if len(self.batch) >= BATCH:
                self._flush()

    def _flush(self) -> None:
        if self.client is None:
            self.client = self._connect()
        together = self.client.pipeline(transaction=False)
        for row in self.batch:
            together.xadd(self.staged, row)
        together.execute()
        self.batch = []

    def prepare(self, epoch: int, /) -> None:
        """The entries of the epoch are on the server."""
        self._flush()

    def commit(self, epoch: int, /) -> None:
        """The entries of the epoch are in the stream, and its number is beside it."""
        self.client = client = self.client or self._connect()  # kept for `abort`, if this fails
        client.eval(MOVE, 3, self.staged, self.stream, self.epochs, epoch)
        self.client = None
        client.close()

    def abort(self) -> None:
        """What was staged is gone."""
        client, self.client, self.batch = self.client, None, []
        if client is not None:
            try:
                client.delete(self.staged)
            finally:
                client.close()


def id_of(raw: bytes) -> RedisId:
    ms, _, number = raw.decode().partition("-")
    return RedisId(int(ms), int(number))


def flat(entries: Any) -> list[Any]:
    """Entries of a stream, which a newer protocol gives in a list of their own."""
    listed = cast("list[Any]", entries)
    inner: Any = listed[0] if len(listed) == 1 else None
    return inner if isinstance(inner, list) else listed  # pyright: ignore[reportUnknownVariableType]
