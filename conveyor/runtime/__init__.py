"""The real world: processes, shared memory, cores and signals.  It knows nothing of schedules or
simulation."""

from conveyor.runtime.placement import Placement

__all__ = ["Placement"]
