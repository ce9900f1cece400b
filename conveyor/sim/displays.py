"""The code of a function whose set displays and comprehensions pass through another function first.

Knows: where a function's source is, and how to find its code in what the source compiles to.  Must never know: what is done
with sets, pipelines.

There is no way to it but the source: what builds a set in compiled code cannot be taken hold of.  A function without a source
that fits its code is left as it is.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Final

from conveyor.kernels import operations

__all__ = ["HOOK", "with_hooks"]

HOOK: Final = "__set_display__"  # the name, in the function's globals, of what sets pass through


def with_hooks(fn: FunctionType, file: str = "") -> CodeType:
    """The function's code with hooks; its own, if it displays no set or its source cannot be found.

    `file` is where to look for a function that has travelled, and has forgotten where it is from.
    """
    mine = fn.__code__
    if not any("BUILD_SET" in operations(code) for code in inside(mine)):
        return mine
    lines = linecache.getlines(mine.co_filename) or linecache.getlines(file)
    plain, hooked = compiled(mine.co_filename, tuple(lines))
    places = [place for place, code in enumerate(plain) if is_like(code, mine)]
    exact = [place for place in places if plain[place].co_code == mine.co_code]
    found = exact or places
    if not found or (len(found) > 1 and not exact):
        return mine
    code = hooked[found[0]]
    return code if code.co_freevars == mine.co_freevars else mine


def is_like(code: CodeType, other: CodeType) -> bool:
    """Are they of the same function?  The code itself may have been rewritten, as pytest does with assertions."""
    return (code.co_qualname, code.co_firstlineno, code.co_varnames) == (
        other.co_qualname,
        other.co_firstlineno,
        other.co_varnames,
    )


@lru_cache(maxsize=8)
def compiled(filename: str, lines: Sequence[str]) -> tuple[list[CodeType], list[CodeType]]:
    """All code in a file, in a fixed order: as it is, and with hooks."""
    try:
        source = "".join(lines)
        plain = compile(ast.parse(source), filename, "exec", dont_inherit=True)
        tree = ast.fix_missing_locations(Hooked().visit(ast.parse(source)))
        return list(inside(plain)), list(inside(compile(tree, filename, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):  # it is no Python source, or not any more
        return [], []


class Hooked(ast.NodeTransformer):
    """Puts a call around each set that is displayed."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        visited = super().generic_visit(node)
        if not isinstance(visited, ast.Set | ast.SetComp):
            return visited
        return ast.copy_location(ast.Call(ast.Name(HOOK, ast.Load()), [visited], []), visited)


def inside(code: CodeType) -> Iterator[CodeType]:
    """A piece of code, and all in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from inside(const)
