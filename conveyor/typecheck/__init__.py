"""What the build-time check of types knows: what a stage takes and gives, and whether the one fits
the other.

This folder reads annotations as a type checker would.  It must never know pipelines: lanes are
matched in `graph.draft`.  Start with `stage_types`, then `assignability`.
"""
