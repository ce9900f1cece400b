"""Real runs, recorded and done again in the simulator; `python -m tests.conformance` does
thousands."""
