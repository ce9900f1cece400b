"""What travels: an item on its way from one job to the next, and the pickles of what must reach a
worker.

This folder knows how items, stages, exceptions and what a script defines become bytes, and how they
come back.  It must never know channels, processes or schedules.  Start with `sealing`: every item
passes it.
"""
