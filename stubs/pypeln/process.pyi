from collections.abc import Callable, Iterable

def map(
    f: Callable[[object], object],
    stage: Iterable[object],
    *,
    workers: int = ...,
    maxsize: int = ...,
) -> Iterable[object]: ...
