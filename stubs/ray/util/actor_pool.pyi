from collections.abc import Callable, Iterable, Iterator
from typing import Any

class ActorPool:
    def __init__(self, actors: list[Any]) -> None: ...
    def map_unordered(
        self, fn: Callable[[Any, Any], Any], values: Iterable[Any]
    ) -> Iterator[Any]: ...
