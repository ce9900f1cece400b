"""What a worker does, whichever world it is in: pure code that never waits, never chooses and never
looks at a clock.

This folder knows slices of items, channels as promises, and requests to the world.  It must never
know processes, time or schedules.  Start with `drive`, the one loop that both worlds step; then
`channel`, `job_node` and `nodes`.
"""
