"""How the mypy plugin follows a pipeline that grows statement by statement.

This folder knows mypy's types and syntax trees.  It must never know anything that happens at run
time, and nothing but `conveyor.mypy_plugin` imports it.  Start with `rows`.
"""
