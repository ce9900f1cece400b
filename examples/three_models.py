"""Three models on the same rows, each in a process of its own, compared with a plain loop.

Each is a stateful processor: it scores a row, and then learns from the row's label. A replicating
fork gives every row to all three, a zip puts their scores side by side again. Nothing of that is
left to chance, so the scores are those of a plain loop, bit for bit; the status is 1 if not.

    python examples/three_models.py [ROWS]
"""

import random
import sys
from math import exp, log
from typing import NamedTuple

from conveyor import Pipeline, Processor, ReplicatingFork, Zip

Scores = tuple[float, float, float]


class Row(NamedTuple):
    features: list[float]
    label: bool


class Perceptron(Processor[Row, float]):
    def __init__(self) -> None:
        super().__init__()
        self.weights = [0.0] * 8

    def process(self, item: Row, /) -> float:
        score = sum(w * x for w, x in zip(self.weights, item.features, strict=True))
        step = self.step(score, item.label)
        self.weights = [w + step * x for w, x in zip(self.weights, item.features, strict=True)]
        return score

    def step(self, score: float, label: bool) -> float:
        return label - (score > 0)


class Logistic(Perceptron):
    def step(self, score: float, label: bool) -> float:
        return 0.05 * (label - 1 / (1 + exp(-score)))


class NaiveBayes(Processor[Row, float]):
    def __init__(self) -> None:
        super().__init__()
        self.seen = [1, 1]  # by label, as the sums of all features and of their squares
        self.sums = [[0.0] * 8, [0.0] * 8]
        self.squares = [[1.0] * 8, [1.0] * 8]

    def process(self, item: Row, /) -> float:
        score = self.likelihood(item.features, True) - self.likelihood(item.features, False)
        self.seen[item.label] += 1
        for i, x in enumerate(item.features):
            self.sums[item.label][i] += x
            self.squares[item.label][i] += x * x
        return score

    def likelihood(self, features: list[float], label: bool) -> float:
        total, seen = log(self.seen[label]), self.seen[label]
        for x, summed, squared in zip(features, self.sums[label], self.squares[label], strict=True):
            mean = summed / seen
            variance = squared / seen - mean * mean
            total -= (log(variance) + (x - mean) ** 2 / variance) / 2
        return total


def make_rows(count: int, seed: int = 1) -> list[Row]:
    """Rows of two classes that overlap, the same on every machine."""
    chance = random.Random(seed)
    labels = [chance.random() < 0.5 for _ in range(count)]
    return [Row([chance.gauss(0.3 if n else -0.3) for _ in range(8)], n) for n in labels]


def run(rows: list[Row]) -> list[Scores]:
    pl = Pipeline[Row]().add(ReplicatingFork(3)).add(Logistic(), Perceptron(), NaiveBayes())
    return pl.add(Zip(3)).run(rows)


def plain_loop(rows: list[Row]) -> list[Scores]:
    logistic, perceptron, bayes = Logistic(), Perceptron(), NaiveBayes()
    return [(logistic.process(row), perceptron.process(row), bayes.process(row)) for row in rows]


if __name__ == "__main__":  # a test imports this module; the library itself needs no guard
    rows = make_rows(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    scores = run(rows)
    names = ("logistic regression", "perceptron", "naive Bayes")
    for name, column in zip(names, zip(*scores, strict=True), strict=True):
        right = sum((score > 0) == row.label for score, row in zip(column, rows, strict=True))
        print(f"{name:<20} {right / len(rows):.1%} right")
    equal = scores == plain_loop(rows)
    print(f"equal to a plain loop, bit for bit: {'yes' if equal else 'NO'}")
    sys.exit(not equal)
