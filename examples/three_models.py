"""Three models trained on the same rows, each in a process of its own.

Each model is a stateful processor: it scores a row before it sees the row's label, then learns from
it. A replicating fork gives every row to all three, and a zip puts their scores side by side again,
row by row:

                     ┌─ logistic regression ─┐
    rows ─ replicate ┼─ perceptron ──────────┼ zip ─ (score, score, score)
                     └─ naive Bayes ─────────┘

No plain stage, fork of this kind or zip leaves anything to chance, so the scores are those of a
plain loop, bit for bit, however the three processes are scheduled.

    python examples/three_models.py [ROWS]

Ends with status 1 if a single score differs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from conveyor import Pipeline, Processor, ReplicatingFork, Zip

FEATURES = 8
Scores = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Row:
    features: tuple[float, ...]
    label: bool


class Logistic(Processor[Row, float]):
    """Logistic regression by stochastic gradient descent. Scores in log-odds."""

    def __init__(self, rate: float = 0.05) -> None:
        super().__init__()
        self._rate = rate
        self._weights = [0.0] * FEATURES
        self._bias = 0.0

    def process(self, item: Row, /) -> float:
        score = self._bias + dot(self._weights, item.features)
        probability = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score))))
        step = self._rate * (item.label - probability)
        self._bias += step
        self._weights = [w + step * x for w, x in zip(self._weights, item.features, strict=True)]
        return score


class Perceptron(Processor[Row, float]):
    """Rosenblatt's perceptron: learns from its mistakes only. Scores in units of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._weights = [0.0] * FEATURES
        self._bias = 0.0

    def process(self, item: Row, /) -> float:
        score = self._bias + dot(self._weights, item.features)
        if (score > 0.0) != item.label:
            step = 1.0 if item.label else -1.0
            self._bias += step
            self._weights = [
                w + step * x for w, x in zip(self._weights, item.features, strict=True)
            ]
        return score


class NaiveBayes(Processor[Row, float]):
    """Gaussian naive Bayes with running means and variances (Welford). Scores in log-odds."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = {False: 1, True: 1}
        self._means = {label: [0.0] * FEATURES for label in (False, True)}
        self._squares = {label: [1.0] * FEATURES for label in (False, True)}

    def process(self, item: Row, /) -> float:
        score = self._log_likelihood(item, True) - self._log_likelihood(item, False)
        self._learn(item)
        return score

    def _log_likelihood(self, item: Row, label: bool) -> float:
        seen = self._seen[label]
        total = math.log(seen)
        for x, mean, squares in zip(
            item.features, self._means[label], self._squares[label], strict=True
        ):
            variance = squares / seen
            total -= 0.5 * (math.log(variance) + (x - mean) ** 2 / variance)
        return total

    def _learn(self, item: Row) -> None:
        self._seen[item.label] += 1
        means, squares = self._means[item.label], self._squares[item.label]
        for i, x in enumerate(item.features):
            before = x - means[i]
            means[i] += before / self._seen[item.label]
            squares[i] += before * (x - means[i])


def dot(weights: Sequence[float], features: Sequence[float]) -> float:
    return sum(w * x for w, x in zip(weights, features, strict=True))


def pipeline() -> Pipeline[Row, Scores]:
    return (
        Pipeline[Row]()
        .add(ReplicatingFork(3))
        .add(Logistic(), Perceptron(), NaiveBayes())
        .add(Zip(3))
    )


def run(rows: Iterable[Row]) -> list[Scores]:
    """The scores of the three models, each in a process of its own."""
    return pipeline().run(rows)


def plain_loop(rows: Iterable[Row]) -> list[Scores]:
    """The same scores in one process: a stateful processor is an ordinary object."""
    logistic, perceptron, bayes = Logistic(), Perceptron(), NaiveBayes()
    return [(logistic.process(row), perceptron.process(row), bayes.process(row)) for row in rows]


def make_rows(count: int, seed: int = 1) -> list[Row]:
    """Rows of two overlapping classes, the same on every machine."""
    uniform = uniforms(seed)
    centre = [2.0 * next(uniform) - 1.0 for _ in range(FEATURES)]
    rows: list[Row] = []
    for _ in range(count):
        label = next(uniform) < 0.5
        side = 0.35 if label else -0.35
        features = tuple(side * c + sum(next(uniform) for _ in range(4)) - 2.0 for c in centre)
        rows.append(Row(features, label))
    return rows


def uniforms(seed: int) -> Iterator[float]:
    """Numbers in [0, 1): a 64-bit linear congruential generator with Knuth's constants for MMIX."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 11) / 2**53


def accuracy(rows: Sequence[Row], scores: Sequence[float]) -> float:
    right = sum((score > 0.0) == row.label for row, score in zip(rows, scores, strict=True))
    return right / len(rows)


def main(arguments: Sequence[str]) -> int:
    rows = make_rows(int(arguments[0]) if arguments else 20_000)
    scores = run(rows)
    equal = scores == plain_loop(rows)
    print(f"{len(rows)} rows, each scored by three models before they learned from it")
    names = ("logistic regression", "perceptron", "naive Bayes")
    for name, column in zip(names, zip(*scores, strict=True), strict=True):
        print(f"{name:<20} {accuracy(rows, column):.1%} right")
    print(f"equal to a plain loop, bit for bit: {'yes' if equal else 'NO'}")
    return 0 if equal else 1


if __name__ == "__main__":  # a test imports this module; the library itself needs no guard
    sys.exit(main(sys.argv[1:]))
