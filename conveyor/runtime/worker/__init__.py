"""What happens inside a worker process.

This folder knows one node and its ends of the channels.  It must never know of the other workers.
Start with `worker`.
"""
