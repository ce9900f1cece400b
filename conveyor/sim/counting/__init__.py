"""How many different runs a pipeline has, worked out without running one.

This folder knows the graph and what jobs give.  It must never know schedulers.  Start with `count`.
"""
