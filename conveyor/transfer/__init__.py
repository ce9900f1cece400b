"""How items come into a pipeline from a store, and results go into one: the two protocols, and a
run between them.

This folder knows what a source and a sink promise.  It must never know any store, or how a pipeline
runs.  Start with `contract`.
"""
