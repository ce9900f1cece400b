"""The server of a monitor: one page, and the events that keep it live.

This folder knows addresses, connections and threads.  It must never know what is in a snapshot, nor
hold up the run that shows them.  Start with `server`.
"""
