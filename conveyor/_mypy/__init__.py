"""How the mypy plugin follows a pipeline that grows statement by statement.

This folder knows mypy's types and syntax trees.  It must never know anything that happens at run
time, and nothing but `conveyor.mypy_plugin` imports it.  Start with `file`: it asks `follow` how
far a variable can be believed, `stages` and `rows` what the types say, and `judge` what fits.
"""
