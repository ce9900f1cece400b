"""The simulated world: the same nodes, drive loops and recovery in one thread, and every decision
in a scheduler's hand.

Of what is here a pipeline's own calls (`simulate`, `explore`, `replay`, `count`) need nothing to be
imported.  What they take and give has its names here:

>>> from conveyor.sim import Faults
>>> from conveyor import Pipeline, Processor
>>> pl = Pipeline[int]().add(Processor(abs))
>>> faults = Faults(["abs"])
>>> pl.explore([-1, 2], lambda found: found == [1, 2], faults=faults, schedules=50).failure is None
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conveyor.sim.faults import Faults
    from conveyor.sim.schedulers.scheduler import Scheduler
    from conveyor.sim.search.findings import Exploration
    from conveyor.sim.search.hypothesis_strategy import schedules
    from conveyor.sim.search.simulation import Simulation
else:

    def __getattr__(name: str) -> object:
        # Each name is imported when it is asked for: `schedules` needs Hypothesis, which need not
        # be there for the others.
        if name in HOMES:
            from importlib import import_module

            return getattr(import_module(HOMES[name]), name)
        raise AttributeError(f"module 'conveyor.sim' has no attribute {name!r}")


HOMES = {
    "Exploration": "conveyor.sim.search.findings",
    "Faults": "conveyor.sim.faults",
    "Scheduler": "conveyor.sim.schedulers.scheduler",
    "Simulation": "conveyor.sim.search.simulation",
    "schedules": "conveyor.sim.search.hypothesis_strategy",
}

__all__ = ["Exploration", "Faults", "Scheduler", "Simulation", "schedules"]
