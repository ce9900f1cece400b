"""Pipelines on a Ray cluster: the engine, and the hosts as actors.  It knows Ray, which is imported
when a pipeline is first opened there, and what carries letters between hosts; not how a run goes.
Start with `engine`."""

from conveyor.cluster.engine import Ray
from conveyor.cluster.machines import Resources

__all__ = ["Ray", "Resources"]
