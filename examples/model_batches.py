"""A model that is quicker with many texts at a time, fed from a source that gives one by one.

`Batch` gathers 32 texts, or as many as came within 50 ms; `setup=` loads the model once in each
worker. Behind it `Unbatch` gives single results again.
"""

import math
import re
from collections import Counter
from itertools import cycle, islice

from conveyor import Batch, Pipeline, Processor, Unbatch

GOOD = "a great film, a joy to watch. warm, funny and great. a joy from the first minute"
BAD = "dull, and far too long. a waste of time. long, loud and dull"
TEXTS = ["a great joy", "long and dull", "a waste of a great film", "funny, but loud"]


class Model:
    """Naive Bayes over words; stands for what takes a while to load."""

    def __init__(self) -> None:
        self.good, self.bad = (Counter(re.findall(r"\w+", text)) for text in (GOOD, BAD))

    def odds(self, texts: list[str]) -> list[float]:
        return [sum(map(self.weight, re.findall(r"\w+", text))) for text in texts]

    def weight(self, word: str) -> float:
        return math.log((self.good[word] + 1) / (self.bad[word] + 1))


def judged(texts: list[str], model: Model) -> list[tuple[str, float]]:
    return list(zip(texts, model.odds(texts), strict=True))


pl = (
    Pipeline[str]().add(Batch(32, within_s=0.05)).add(Processor(judged, setup=Model)).add(Unbatch())
)
opinions = pl.run(islice(cycle(TEXTS), 2_000))
print(f"{sum(odds > 0 for _, odds in opinions):,} of {len(opinions):,} reviews are good")
for number, (text, odds) in enumerate(opinions[:4]):
    print(f"{number}: {'good' if odds > 0 else 'bad'} ({odds:+.2f}): {text}")
