"""A sample of what `make conform` does: real runs do what the simulator does with the same
decisions."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.conformance.compare import Recorded, sizes
from tests.conformance.topologies import CASES, Case


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_real_run_replays_in_the_simulator(case: Case, tmp_path: Path) -> None:
    random = Random()
    with Recorded(case, tmp_path / "run.cvd", random) as recorded:
        for streamed in (None, 7 if case.streams else None, None):
            assert recorded.divergence(range(sizes(random, min(case.most, 100))), streamed) == ""
