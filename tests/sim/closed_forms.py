"""Numbers that are known of themselves, for the tests of what the simulator counts."""

from __future__ import annotations

from math import factorial, prod


def multinomial(*parts: int) -> int:
    """In how many ways sequences of these lengths can be interleaved."""
    return factorial(sum(parts)) // prod(map(factorial, parts))
