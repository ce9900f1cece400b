"""A real run as a file: what the world decided, so that the simulator can do the run again.

This folder knows the file, from bytes to what they mean, and the points at which something was
decided or a worker died.  It must never know which process writes the file, or how a run is made to
follow it.  Start with `format`, which says what a file holds; `frames` is the file below that, and
`reader` gives it back as a whole.
"""
