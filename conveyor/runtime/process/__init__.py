"""How processes come to be workers: started, made like their program, tied to its life.

This folder knows forks, signals, descriptors and interpreters.  It must never know channels or
pipelines.  Start with `start`.
"""
