"""Imports modules that run a pipeline while they are imported; prints how often each was imported
in how many processes, and what came of it.

`imports.py DIRECTORY`: where the modules are written to.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

BEGINNING = """
import os, sys
with open({log!r}, "a") as log:
    print(os.getpid(), file=log)
if sum(1 for _ in open({log!r})) > 20:
    os._exit(9)  # a test must not take the machine down
from conveyor import FlatMap, Pipeline, Processor
"""

MODULES = {
    "a_job": "def job(x): return x\nRESULT = Pipeline().add(Processor(job)).run([1])",
    "a_stream": (
        "def job(x): return x\n"
        "with Pipeline().add(Processor(job)).stream([1]) as stream: RESULT = list(stream)"
    ),
    "an_item": (
        "class Item: pass\nRESULT = len(Pipeline().add(Processor(lambda x: [x])).run([Item()]))"
    ),
    "a_function": (
        "def job(x): return x\ndef main(): return Pipeline().add(Processor(job)).run([1])\n"
        "RESULT = None"
    ),
    "in_a_job": (
        "def inner(x): return x\ndef job(x): return Pipeline().add(Processor(inner)).run([x])\n"
        "RESULT = None"
    ),
    "late": "def job(x):\n    import late_inner\n    return late_inner.RESULT\nRESULT = None",
    "late_inner": "def job(x): return x\nRESULT = Pipeline().add(Processor(job)).run([1])",
}


def outcome(name: str) -> object:
    """What comes of importing a module, and of running what it has for that."""
    from conveyor import Pipeline, Processor

    try:
        module = import_module(name)
        if name == "a_function":
            return module.main()
        if name in ("in_a_job", "late"):
            return Pipeline().add(Processor(module.job)).run([1])
        return module.RESULT
    except Exception as error:
        return " ".join(str(error).split())


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    sys.path.insert(0, str(directory))
    for name, text in MODULES.items():
        (directory / f"{name}.py").write_text(
            BEGINNING.format(log=str(directory / f"{name}.log")) + text
        )
    for name in MODULES:
        if name != "late_inner":
            what = outcome(name)
            times = len((directory / f"{name}.log").read_text().split())
            print(f"{name} | {times} | {what}")
