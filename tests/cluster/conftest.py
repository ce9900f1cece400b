"""A Ray cluster of this machine is made only where there is no other interface than `lo`: what Ray
opens listens on all of them.  `make cluster` makes such a place."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipe, Pipeline

__all__ = ["AS_TESTED", "host", "line", "needs_a_place_of_its_own"]

AS_TESTED = {
    "RAY_memory_monitor_refresh_ms": "0",  # it kills actors when others fill the machine
    "RAY_USAGE_STATS_ENABLED": "0",
}


def needs_a_place_of_its_own() -> None:
    """Skips the file that calls this where Ray is missing, or would be seen from outside."""
    pytest.importorskip("ray", reason="Ray is not installed here")
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        pytest.skip("Ray would listen on every interface: make cluster", allow_module_level=True)
    os.environ |= AS_TESTED


def line(*jobs: Any) -> Any:
    pl: Any = Pipeline[Any]().add(Pipe(64))
    for job in jobs:
        pl.add(job).add(Pipe(64))
    return pl


def host() -> int:
    """The process of this worker's host, which started its fork server."""
    return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])
