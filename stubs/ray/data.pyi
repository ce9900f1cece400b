from collections.abc import Callable, Sequence
from typing import Any

class DataContext:
    enable_progress_bars: bool
    @staticmethod
    def get_current() -> DataContext: ...

class TaskPoolStrategy:
    def __init__(self, size: int | None = ...) -> None: ...

class Dataset:
    def map(
        self, fn: Callable[[dict[str, Any]], dict[str, Any]], *, compute: TaskPoolStrategy
    ) -> Dataset: ...
    def take_all(self) -> list[dict[str, Any]]: ...

def from_items(items: Sequence[Any], *, override_num_blocks: int | None = ...) -> Dataset: ...
