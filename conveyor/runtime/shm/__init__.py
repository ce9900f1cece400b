"""The memory that the processes of one pipeline share, and what lies in it: channels, saved states,
control blocks, logs of decisions.

This folder knows addresses, the order of stores and how a sleeping process is woken.  It must never
know what a process does with what it reads.  Start with `ring`.
"""
