"""What the build-time check of types knows: what a stage takes and gives, and whether the one is
assignable to the other.

This folder knows types as annotations hold them, and what a type checker would say of them.  It
must never know lanes, pipelines or how a stage runs.  Start with `stage_types`, which says what
comes out of a stage; `assignability` compares two types, and `type_forms` takes one apart.
"""
