"""The tree of errors is the one that the docstring draws."""

from __future__ import annotations

import inspect

from conveyor import errors


def test_the_tree_is_as_it_is_drawn() -> None:
    drawn = dict[str, str]()
    above: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()
        if line.startswith("    "):
            depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
            above[depth:] = [words[0]]
            drawn[words[0]] = (
                above[-2] if depth else "UserWarning" if "Warning" in words[0] else "Exception"
            )

    assert drawn == {name: getattr(errors, name).__base__.__name__ for name in errors.__all__}
    assert len(drawn) == len(errors.__all__) > 10
