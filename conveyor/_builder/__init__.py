"""What a `Pipeline` does: takes rows of stages, runs them on an engine, and simulates them.

This folder knows both worlds, and which call is for which; it must never know what goes on in
either, or which rows a checker accepts.  What it needs of the real world comes through one file,
`engine`.  Start with `drafting`, which takes rows; then `running` and `simulating`, which do not
know one another.
"""
