"""Sources and sinks for stores that are there: files, databases, logs.

>>> from conveyor.io import Lines
>>> Lines("access.log").identity().endswith("/access.log")
True

Each class says what its positions are, what a bad row gets, and whether results come exactly once.
What needs another library imports it when it is used, and says which extra brings it.
"""

from __future__ import annotations

from conveyor.io.follow import Directory, Follow
from conveyor.io.kafka import Kafka, KafkaMessage, KafkaRecord
from conveyor.io.parquet import Parquet
from conveyor.io.redis_stream import RedisEntry, RedisStream
from conveyor.io.sql import SqlQuery, SqlTable
from conveyor.io.text import Csv, JsonLines, Lines
from conveyor.io.waiting import sleep
from conveyor.transfer.contract import Sink, Source

__all__ = [
    "Csv",
    "Directory",
    "Follow",
    "JsonLines",
    "Kafka",
    "KafkaMessage",
    "KafkaRecord",
    "Lines",
    "Parquet",
    "RedisEntry",
    "RedisStream",
    "Sink",
    "Source",
    "SqlQuery",
    "SqlTable",
    "sleep",
]
