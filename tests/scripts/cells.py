"""Cells of a notebook: a class that an open pipeline knows is defined again, and another is defined
after it was opened.

Prints one line for each that is not right, and "done".
"""

from __future__ import annotations

import os
from typing import Any

from conveyor import Pipeline, Processor
from conveyor.errors import NotPicklable

FIRST = """
class Item:
    number = 1

class Other:
    number = 3
"""
SECOND = """
class Item:
    number = 2
"""
THIRD = """
class Late:
    number = 4
"""


def told(item: Any) -> tuple[int, int]:
    return item.number, os.getpid()


def main() -> None:
    def check(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            print(f"{what}: {found!r} instead of {wanted!r}")

    names = globals()
    exec(FIRST, names)
    pl = Pipeline[Any]().add(Processor(told)).add(Processor(tuple))
    with pl:
        [(number, worker)] = pl.run([names["Item"]()])
        check("at first", number, 1)
        [(number, same)] = pl.run([names["Other"]()])
        check("nothing was defined again: the worker", (number, same), (3, worker))
        names["number"] = 7
        exec(THIRD, names)
        [(number, same)] = pl.run([names["Other"]()])
        check("data and new names do not matter: the worker", (number, same), (3, worker))
        exec(SECOND, names)
        [(number, another)] = pl.run([names["Item"]()])
        check("a class was defined again", (number, another != worker), (2, True))
        with pl.stream([names["Item"]()]) as results:
            check("once only", list(results), [(2, another)])
        exec(FIRST, names)
        with pl.stream([names["Item"]()]) as results:
            check("in a stream, too", [number for number, _ in results], [1])
    with pl:
        check("before", [number for number, _ in pl.run([names["Late"]()])], [4])
        exec(THIRD.replace("Late", "Later"), names)
        try:
            pl.run([names["Later"]()])
            print("a class that the workers cannot have")
        except NotPicklable as error:
            check("the reason", "after the workers were started" in str(error), True)
    print("done")


if __name__ == "__main__":
    main()
