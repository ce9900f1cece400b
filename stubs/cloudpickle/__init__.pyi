"""The part of cloudpickle that Conveyor uses; `make typecheck` compares it with the package."""

import pickle
from collections import ChainMap
from collections.abc import Callable, Iterable
from pickle import PickleBuffer
from types import ModuleType
from typing import IO, Any

class Pickler(pickle.Pickler):
    dispatch_table: ChainMap[type[Any], Callable[[Any], Any]]  # type: ignore[assignment, unused-ignore]  # narrower than pickle has it, to some releases
    def __init__(
        self,
        file: IO[bytes],
        protocol: int | None = None,
        buffer_callback: Callable[[PickleBuffer], object] | None = None,
    ) -> None: ...
    def dump(self, obj: object) -> None: ...
    def reducer_override(self, obj: object) -> Any: ...

def dumps(
    obj: object,
    protocol: int | None = None,
    buffer_callback: Callable[[PickleBuffer], object] | None = None,
) -> bytes: ...

# The very function of `pickle`; `object`, so that callers must check what came.
def loads(
    data: bytes | bytearray | memoryview,
    /,
    *,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    errors: str = "strict",
    buffers: Iterable[object] | None = (),
) -> object: ...
def register_pickle_by_value(module: ModuleType) -> None: ...
def unregister_pickle_by_value(module: ModuleType) -> None: ...
def list_registry_pickle_by_value() -> set[str]: ...
