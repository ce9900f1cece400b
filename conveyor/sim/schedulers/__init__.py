"""Schedulers: each decides for the simulator in a way of its own, one small file each."""
