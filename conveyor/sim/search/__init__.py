"""What a user asks of the simulator: one schedule, many, a certain one, a smaller one that still
fails.

This folder knows whole runs and compares them.  It must never know how a run is stepped.  Start
with `simulation`, then `exploration`.
"""
