"""Whether jobs depend on nothing but their items: they are run twice, in worlds that differ.

This folder knows how two values are compared.  It must never know schedules.  Start with
`inspection`.
"""
