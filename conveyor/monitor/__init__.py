"""What a monitor shows of a run: figures as data, and the page that draws them.

This folder knows one run as it is seen from outside, and the words for it.  It must never know
where the figures come from, a clock, or a connection.  Start with `snapshot`.
"""
