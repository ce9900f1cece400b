"""What is done once before a pipeline is simulated many times: stages and items made safe and
separate.

This folder knows which objects two workers would not share in a real run.  It must never know
schedules.  Start with `prepared`.
"""
