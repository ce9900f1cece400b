"""A pipeline in memory, stepped in one thread: what is possible now, and one step of it.

This folder knows nodes, channels in memory and deaths.  It must never know why a scheduler decides
as it does.  Start with `world`, then `loop`.
"""
