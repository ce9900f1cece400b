"""The long cases: each gives a complaint, or nothing if all was as it must be."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["ENDS"]

ENDS: dict[str, Callable[[], str]] = {}
