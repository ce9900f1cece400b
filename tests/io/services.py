"""Where the servers are that `make services` has started: tests that need one are skipped with a
word where it is not there."""

from __future__ import annotations

import json
import os
import socket

import pytest

from tests.helpers import ROOT

KNOWN = ROOT / ".services" / "urls.json"


def service(name: str) -> str:
    """The URL of a server that answers; the test is skipped if none does."""
    try:
        return address(name)
    except LookupError as error:
        pytest.skip(str(error))


def address(name: str) -> str:
    """The URL of a server that answers; raises `LookupError` if none does."""
    asked = os.environ.get(f"CONVEYOR_{name.upper()}")
    url = asked or (json.loads(KNOWN.read_text()).get(name) if KNOWN.exists() else None)
    if url is None:
        raise LookupError(f"no {name} runs here: make services")
    host, _, port = url.rpartition("@")[2].rpartition("/")[0].rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex((host.rpartition("/")[2], int(port))):
            raise LookupError(f"{name} does not answer at {url}: make services")
    return url
