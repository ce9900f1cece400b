"""The code of a function in which what may make a set passes through another function first.

That are displays and comprehensions, the operators of sets, and methods of their names.

Knows: where a function's source is, and how to find its code in what the source compiles to.  Must
never know: what is done with sets, pipelines.

There is no way to it but the source: what builds a set in compiled code cannot be taken hold of.  A
function without a source that fits its code is left as it is.
"""

from __future__ import annotations

import ast
import dis
import linecache
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Final

from conveyor.items.bytecode import operations

__all__ = ["HOOK", "MAKE_SETS", "inside", "with_hooks"]

HOOK: Final = "__set_display__"  # the name, in the function's globals, of what sets pass through
MAKE_SETS: Final = frozenset("copy difference intersection symmetric_difference union".split())
SIGNS: Final = frozenset("|&-^")


def with_hooks(fn: FunctionType, file: str = "") -> CodeType:
    """The function's code with hooks; its own, if nothing in it makes a set or its source cannot be
    found.

    `file` is where to look for a function that has travelled, and has forgotten where it is from.
    """
    mine = fn.__code__
    if not any(map(may_make_sets, inside(mine))):
        return mine
    lines = linecache.getlines(mine.co_filename) or linecache.getlines(file)
    plain, other = compiled(mine.co_filename, tuple(lines))
    places = [place for place, code in enumerate(plain) if is_like(code, mine)]
    exact = [place for place in places if plain[place].co_code == mine.co_code]
    found = exact or places
    if not found or (len(found) > 1 and not exact):
        return mine
    code = other[found[0]]
    return code if code.co_freevars == mine.co_freevars else mine


def is_like(code: CodeType, other: CodeType) -> bool:
    """Are they of the same function?  The code itself may have been rewritten, as pytest does with
    assertions."""
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


def may_make_sets(code: CodeType) -> bool:
    if "BUILD_SET" in operations(code) or not MAKE_SETS.isdisjoint(code.co_names):
        return True
    return any(
        each.opname == "BINARY_OP" and each.argrepr in SIGNS for each in dis.get_instructions(code)
    )


class Hooked(ast.NodeTransformer):
    """Puts a call around each expression whose value may be a new set."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        visited = super().generic_visit(node)
        match visited:
            case (
                ast.Set()
                | ast.SetComp()
                | ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.BitXor() | ast.Sub())
            ):
                return hooked(visited)
            case ast.Call(func=ast.Attribute(attr=name)) if name in MAKE_SETS:
                return hooked(visited)
            case _:
                return visited


def hooked(made: ast.expr) -> ast.Call:
    return ast.copy_location(ast.Call(ast.Name(HOOK, ast.Load()), [made], []), made)


def inside(code: CodeType) -> Iterator[CodeType]:
    """A piece of code, and all in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from inside(const)
