"""What happens inside a worker process: it loads a stage and steps its node, run after run.

This folder knows one node and the link to the parent.  It must never know other workers, or what
the parent does with a report.  Start with `worker`, then `run`.
"""
