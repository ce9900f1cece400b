"""A model that is quicker with many texts at a time, fed from a source that gives one by one.

`Batch` gathers 32 texts, or as many as came within 50 ms; `setup=` loads the model once in each
worker. Behind it `Unbatch` gives single results again.

    python examples/model_batches.py
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from conveyor import Batch, Pipeline, Processor, Unbatch

TRAINING = [
    ("a great film, a joy to watch", True),
    ("warm, funny and great", True),
    ("a joy from the first minute", True),
    ("dull, and far too long", False),
    ("a waste of time", False),
    ("long, loud and dull", False),
]


@dataclass(frozen=True, slots=True)
class Review:
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Opinion:
    number: int
    is_good: bool
    odds: float


class Model:
    """Naive Bayes over words; stands for what takes a while to load."""

    def __init__(self) -> None:
        self.words: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for text, is_good in TRAINING:
            self.words[is_good].update(re.findall(r"\w+", text))

    def odds(self, texts: list[str]) -> list[float]:
        return [sum(map(self.weight, re.findall(r"\w+", text))) for text in texts]

    def weight(self, word: str) -> float:
        return math.log((self.words[True][word] + 1) / (self.words[False][word] + 1))


def judged(reviews: list[Review], model: Model) -> list[Opinion]:
    odds = model.odds([review.text for review in reviews])
    return [Opinion(each.number, n > 0, n) for each, n in zip(reviews, odds, strict=True)]


def reviews(count: int) -> Iterator[Review]:
    texts = ["a great joy", "long and dull", "a waste of a great film", "funny, but loud"]
    for number in range(count):
        yield Review(number, texts[number % len(texts)])


pl = (
    Pipeline[Review]()
    .add(Batch(32, within_s=0.05))
    .add(Processor(judged, setup=Model))
    .add(Unbatch())
)
opinions = pl.run(reviews(2_000))
print(f"{sum(opinion.is_good for opinion in opinions):,} of {len(opinions):,} reviews are good")
for opinion in opinions[:4]:
    print(f"{opinion.number}: {'good' if opinion.is_good else 'bad'} ({opinion.odds:+.2f})")
