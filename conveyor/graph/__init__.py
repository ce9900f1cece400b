"""What is described: rows of stages on open lanes, and the frozen graph of workers and channels
that they become.

This folder holds data and what can be told from it alone.  Nothing that runs may enter it.  Start
with `topology`, which is what both worlds are given, then `compiler`, which makes it.
"""
