"""Documents embedded by a small model, on lanes over all machines of a cluster.

Without arguments it runs on this machine; with `--ray`, on the Ray cluster at that address, or one
that Ray starts here. The program is the same.

    python examples/embeddings.py
    ray job submit --working-dir . -- python examples/embeddings.py --ray auto --lanes 32
"""

import argparse
import importlib
import inspect
import math
import re
from collections.abc import Iterator
from operator import mul
from zlib import crc32

from conveyor import BalancingFork, Batch, Join, Pipeline, Processor, Unbatch

MODULES = (
    "collections fractions itertools json math os random re shutil statistics textwrap".split()
)
QUESTION = "the square root of a number"


def documents() -> Iterator[tuple[str, str]]:
    """What the standard library says of its functions, by their names."""
    for module in map(importlib.import_module, MODULES):
        for name, function in inspect.getmembers(module, callable):
            if not name.startswith("_") and (text := inspect.getdoc(function)):
                yield f"{module.__name__}.{name}", text


class Model:
    """Stands for a network of weights: words and their beginnings, hashed; long ones count more."""

    dimensions = 512

    def embedded(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in {*re.findall(r"[a-z]{4,}", text.lower())}:
            for part in (word, word[:4]):
                vector[crc32(part.encode()) % self.dimensions] += len(word) - 3
        length = math.hypot(*vector) or 1.0
        return [x / length for x in vector]


def embed(batch: list[tuple[str, str]], model: Model) -> list[tuple[str, list[float]]]:
    return [(name, model.embedded(text)) for name, text in batch]


options = argparse.ArgumentParser()
options.add_argument("--ray", nargs="?", const="", help="the address of a cluster, such as auto")
options.add_argument("--lanes", type=int, default=4)
asked = options.parse_args()

engine = None
if asked.ray is not None:
    from conveyor.cluster import Ray, Resources

    # With a real model: Resources(gpus=1, lanes=...), and the weights loaded in Model.__init__.
    engine = Ray(asked.ray or None, stages={"embed": Resources(lanes=asked.lanes)})

pl = (
    Pipeline[tuple[str, str]](engine=engine)
    .add(Batch(16))
    .add(BalancingFork())
    .add(Processor(embed, setup=Model))
    .add(Join())
    .add(Unbatch())
)
vectors = pl.run(documents())
wanted = Model().embedded(QUESTION)
near = sorted(vectors, key=lambda each: -sum(map(mul, wanted, each[1])))
print(f"{len(vectors)} documents, {Model.dimensions} numbers each; nearest to {QUESTION!r}:")
print(*(name for name, _ in near[:3]), sep="\n")
machines = {stage.node or "this machine" for stage in vectors.report.stages.values()}
print("on", *sorted(machines))
