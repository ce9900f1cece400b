"""The simulated world: the same nodes and the same drive loop in one thread.  It knows nothing of processes or clocks."""
