"""How a drive loop is stepped for real: how much at a time, to which lane, and what it waits for.

This folder knows clocks and measured costs.  It must never know which process it is in.  Start with
`loop`.
"""
