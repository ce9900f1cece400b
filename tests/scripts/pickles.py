"""Runs a pipeline with one item or result that does harm: `pickles.py WHAT WHEN HARM`.

Prints the error that the run ends in: the names of its types and all that it says.
"""

from __future__ import annotations

import sys
import traceback
from functools import partial

from conveyor import Pipeline, Processor
from tests.harm import Harmful, carry

what, when, harm = sys.argv[1:]
items: list[object] = [1, 2, Harmful(when, harm) if what == "item" else 3, 4]
job = Processor[object, object](partial(carry, what, when, harm), name="carrier")
try:
    print("results", Pipeline[object]().add(job).run(items))
except BaseException as error:
    print(*(kind.__name__ for kind in type(error).__mro__), *traceback.format_exception(error))
