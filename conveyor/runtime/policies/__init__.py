"""What is decided about workers while a run goes on: who is replaced, whose item takes too long, what has
stopped for good.

This folder knows clocks, and asks of workers and channels what `contract` says.  It must never know where
those are (in shared memory, or on another machine), or how a worker is started, woken or ended.  Start
with `restart_policy`.
"""
