"""A Ray cluster of this machine is made only where there is no other interface than `lo`: what Ray
opens listens on all of them.  `make cluster` makes such a place."""

from __future__ import annotations

import os
import socket

import pytest

__all__ = ["needs_a_place_of_its_own"]

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
