"""How a drive loop is stepped for real: how much at a time, to which lane, and what it waits for.

This folder knows clocks and measured costs, and asks of channels what `contract` says.  It must
never know where a channel is (in shared memory, or on another machine) or which process it is in.
Start with `loop`.
"""
