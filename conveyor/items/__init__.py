"""What travels: an item on its way out of one job and into the next, and the pickles of what must
reach a worker.

This folder knows how items, stages, exceptions and what a script defines are turned into bytes and
back.  It must never know channels, processes or schedules.  Start with `codec`: every item passes
it.
"""
