"""The command line: `conveyor` and `python -m conveyor`.

This folder knows commands, their words, their exit codes, and how items are read and results are
written as text.  It must never know how anything is run: it calls the public API.  Start with
`main`.
"""
