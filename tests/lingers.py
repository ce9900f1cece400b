"""What says in tests how long outputs may gather."""

from __future__ import annotations

__all__ = ["Told"]


class Told:
    """Says at each question, by a list, whether outputs have gathered for long enough."""

    def __init__(self, answers: list[bool]) -> None:
        self.answers = answers

    def begin(self) -> None: ...

    def is_over(self) -> bool:
        return self.answers.pop(0) if self.answers else False
