"""Windows of time: `Window` folds the items of each, `Tumbling`, `Sliding` and `Session` say which
there are, and what comes out are `Windowed` and, where they are asked for, `Late`."""

from __future__ import annotations

from conveyor.stages import Late, Session, Sliding, Tumbling, Window, Windowed

__all__ = ["Late", "Session", "Sliding", "Tumbling", "Window", "Windowed"]
