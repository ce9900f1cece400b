"""What is told of a run when it is over: its report, and the trace of a simulated one.

This folder turns counts and events into records and pictures.  It must never know how a run is
made.  Start with `build`.
"""
