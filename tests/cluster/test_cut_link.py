"""What becomes of a run if a machine cannot be reached for a while."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import pytest

from tests.cluster.conftest import needs_a_place_of_its_own
from tests.helpers import ROOT

pytestmark = pytest.mark.processes

needs_a_place_of_its_own()

APART = "unshare --net --mount --pid --fork --kill-child --mount-proc --map-root-user".split()
LIMIT_S = 110


@pytest.mark.parametrize("seconds", [2, 10])
def test_a_run_goes_on_or_names_the_machine_and_gives_nothing_twice(seconds: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="cut") as folder:  # of a short name
        script = [sys.executable, "-m", "tests.cluster.two_namespaces", folder, str(seconds)]
        done = subprocess.run(
            [*APART, *script], stdout=subprocess.PIPE, cwd=ROOT, timeout=LIMIT_S, check=True
        )
    told = json.loads(done.stdout)
    results = told["results"]

    assert results == [2 * (x + 1) + 1 for x in range(len(results))]
    if told["lost"]:
        assert told["lost"].startswith("host 'right' is lost")
    else:
        assert len(results) == told["items"]
