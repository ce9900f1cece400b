"""What the fork server imports before it forks: all that a worker needs.

Knows: that the fork server imports it, and nobody else does.  Must never know: pipelines.
"""

from __future__ import annotations

import conveyor.runtime.worker
from conveyor.runtime.processes import serve_forks

__all__: list[str] = []

serve_forks(conveyor.runtime.worker)
