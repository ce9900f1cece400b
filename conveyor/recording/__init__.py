"""A real run as a file: what the world decided, so that the simulator can do the run again.

This folder knows the format and the points at which something was decided or somebody died.  It
must never know who writes the file or who reads it.  Start with `format`.
"""
