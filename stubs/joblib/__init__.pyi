"""The part of joblib that the benchmarks use."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

class Call(Generic[T]): ...

class Parallel:
    def __init__(self, n_jobs: int, *, max_nbytes: str | None = ...) -> None: ...
    def __call__(self, calls: Iterable[Call[T]]) -> Iterable[T]: ...

def delayed(function: Callable[..., T]) -> Callable[..., Call[T]]: ...
