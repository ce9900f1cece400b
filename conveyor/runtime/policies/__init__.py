"""What is decided about workers while a run goes on: which are replaced, which take too long for an
item, which wait for one another for ever.

This folder knows clocks, and asks of workers and channels what `contract` says.  It must never know
where those are (in shared memory, or on another machine), or how a worker is started, woken or
ended.  Start with `restart_policy`.
"""
