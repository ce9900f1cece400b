"""What happens in the program's own process: workers are supervised, items sent in, results taken
out.

This folder knows the whole pipeline while it runs.  Nothing of it may be imported by a worker.
Start with `runner`, which steps source and sink; then `supervisor`, which looks after the workers.
"""
