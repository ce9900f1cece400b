"""Schedulers: each decides for the simulator in a way of its own, one small file each.

This folder knows decisions and their options.  It must never know pipelines, items or how a run is
stepped.  Start with `scheduler`, which says what one is, then `exhaustive`.
"""
