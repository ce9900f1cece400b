"""Jobs in all shapes in which they are written, each around one expression of `x`: the source of
modules to import."""

from __future__ import annotations

from textwrap import indent

__all__ = ["CULPRITS", "INNOCENT", "SHAPES", "module"]

WORDS = "{'to', 'be', 'or', 'not', 'that', 'is', 'the', 'question', x}"

# What comes before the expression, at the top of the module or where a shape imports; and the
# expression.
INNOCENT = {
    "a date that is asked what it is": (
        "from datetime import date",
        "isinstance(x, date), date(2020, 1, 2).isoformat()",
    ),
    "a module of dates": (
        "import datetime",
        "isinstance(x, datetime.date), datetime.datetime(2020, 1, 2).year",
    ),
    "a type that is compared": (
        "from datetime import datetime as D",
        "type(D(2020, 1, 1)) is D, issubclass(D, D)",
    ),
    "days that are added": (
        "import datetime as dt",
        "dt.date(2020, 1, 31) + dt.timedelta(days=len(x))",
    ),
    "a date that is read": (
        "from datetime import datetime",
        "datetime.fromisoformat('2020-01-02').timetuple().tm_yday",
    ),
    "dates as keys": (
        "from datetime import date, time",
        "{date: 1, time: 2}.get(type(date(2020, 1, 1)))",
    ),
    "a clock that is told when": (
        "import time",
        "time.strftime('%Y', time.gmtime(86_400 * len(x)))",
    ),
    "numbers that are exact": (
        "from decimal import Decimal, localcontext",
        "(Decimal(len(x)) / 7).quantize(Decimal('.01'))",
    ),
    "no number": ("import math", "(math.nan, set(x.split()), float('nan'))"),
    "no number in a list": (
        "from decimal import Decimal",
        "[Decimal('nan'), float('nan'), frozenset(x)]",
    ),
    "a pattern": (
        "import re",
        r"re.sub(r'\s+', lambda m: '_', x), bool(re.compile('o').search(x))",
    ),
    "pairs": (
        "import itertools",
        (
            "list(itertools.combinations(sorted(x), 2))[:3], "
            "[*itertools.islice(itertools.count(3), 2)]"
        ),
    ),
    "a generator of its own": (
        "import random",
        "random.Random(x).random(), random.Random(7).sample(range(9), 3)",
    ),
    "a generator that is asked what it is": (
        "from random import Random",
        "isinstance(Random(3), Random), Random(3).random()",
    ),
    "a seed": ("import random", "(random.seed(x), random.random(), random.shuffle(list(x)))[1]"),
    "a digest": (
        "import hashlib",
        "hashlib.sha256(x.encode()).hexdigest(), hashlib.md5(b'').digest()",
    ),
    "an id made of a name": ("import uuid", "uuid.uuid5(uuid.NAMESPACE_DNS, x)"),
    "a checksum": ("import zlib, struct", "zlib.crc32(x.encode()), struct.pack('<i', len(x))"),
    "a set": ("", WORDS),
    "sets in containers": ("", f"{{'a': [{WORDS}, frozenset(x)], 'b': ({WORDS},)}}"),
    "a set that is sorted": ("", f"sorted({WORDS}), max({WORDS}), len({WORDS}), 'be' in {WORDS}"),
    "the union of sets": (
        "import functools",
        "set.union({x}, set(x)), functools.reduce(set.union, [{c} for c in x], set())",
    ),
    "what sets have": (
        "",
        "frozenset.intersection(frozenset(x), 'abc'), set.issubset({x}, {x, 'y'}), set.__name__",
    ),
    "a set as a factory": (
        "from collections import defaultdict",
        "(lambda d: (d[x].add(x), dict(d)))(defaultdict(set))",
    ),
    "a set comprehension": (
        "",
        "sum(ord(c) for c in {c for c in x}), {len(w): w for w in sorted({*x.split()})}",
    ),
    "what is of a set's type": (
        "",
        "type({x}) is set, isinstance({x}, set | frozenset), issubclass(set, object)",
    ),
    "a counter": ("from collections import Counter", "Counter(x).most_common(2), Counter(x)"),
    "an ordered dict": (
        "from collections import OrderedDict, deque",
        "OrderedDict.fromkeys(x), deque(x, 3)",
    ),
    "hashes that are compared": (
        "",
        "hash(x) == hash(str(x)), hash(3), {hash(x): 1} == {hash(x): 1}",
    ),
    "an order by a key": (
        "import operator",
        "sorted(x.split(), key=operator.itemgetter(0)), sorted(x, key=str.lower)",
    ),
    "a fraction": ("from fractions import Fraction", "Fraction(len(x), 6), Fraction(1, 3) + 1"),
    "text": (
        "import json, string, textwrap",
        "json.dumps({'x': x}), string.capwords(x), textwrap.shorten(x, 9)",
    ),
    "a path": (
        "from pathlib import PurePosixPath",
        "PurePosixPath('/a') / x.strip(), PurePosixPath('b.c').suffix",
    ),
    "an array": (
        "import array",
        "array.array('d', [1, len(x)]), bytearray(x.encode()), memoryview(b'ab').tolist()",
    ),
    "bits": (
        "import math, bisect, heapq",
        "math.isqrt(len(x)), bisect.bisect([1, 5], len(x)), heapq.nlargest(2, x)",
    ),
    "nothing": ("", "None"),
    "a clock that nobody reads": ("import time", "(lambda began: x)(time.perf_counter())"),
    "dates of numpy": (
        "import numpy",
        "{'v': numpy.arange(len(x)), 't': {'to', 'be', x}}, numpy.datetime64('2020-01-01')",
    ),
}

CULPRITS = {
    "the time": ("import time", "time.time()"),
    "the time, by name": ("from time import time_ns", "time_ns()"),
    "a time of day": ("import datetime", "datetime.datetime.now().isoformat()"),
    "today": ("from datetime import date", "str(date.today())"),
    "now in a zone": ("import datetime as dt", "dt.datetime.now(dt.timezone.utc).year"),
    "chance": ("import random", "random.random()"),
    "chance, by name": ("from random import randrange", "randrange(10**9)"),
    "an id by chance": ("import uuid", "uuid.uuid4()"),
    "bytes by chance": ("import os", "os.urandom(8)"),
    "a token": ("import secrets", "secrets.token_hex(8)"),
    "the order of a set": ("", f"list({WORDS})"),
    "the order of set()": (
        "",
        "' '.join(set('to be or not to be that is the question'.split()) | {x})",
    ),
    "the first of a set": (
        "",
        "next(iter(set('to be or not to be that is the question'.split())))",
    ),
    "a hash": ("", "hash(x)"),
    "where it lies": ("", "id(object()) ^ id([x])"),
    "a count of calls": ("import itertools", "next(COUNT)"),
    "a list that grows": ("", "(GROWS.append(x), len(GROWS))[1]"),
}

TOP = """
from __future__ import annotations
import functools, itertools
from conveyor import FlatMap, Processor
COUNT = iter(range(1_000_000))
GROWS = []
"""

SHAPES = {
    "a function": "{imports}\ndef job(x):\n    return ({body})",
    "a lambda": "{imports}\njob = lambda x: ({body})",
    "a helper": "{imports}\ndef helper(x):\n    return ({body})\ndef job(x):\n    return helper(x)",
    "a closure": (
        "def make():\n{indented}\n    def job(x):\n        return ({body})\n    return job\n"
        "job = make()"
    ),
    "a closure of a closure": (
        "def make():\n{indented}\n    def inner(x):\n        return ({body})\n"
        "    def job(x):\n        return inner(x)\n    return job\njob = make()"
    ),
    "an import inside": "def job(x):\n{indented}\n    return ({body})",
    "a function inside": (
        "def job(x):\n{indented}\n    def inner(y):\n        return [({body}) for x in [y]]\n"
        "    return inner(x)"
    ),
    "a method": (
        "{imports}\nclass Tool:\n    def work(self, x):\n        return ({body})\njob = Tool().work"
    ),
    "an object": (
        "{imports}\nclass Tool:\n    def __call__(self, x):\n        return ({body})\njob = Tool()"
    ),
    "a partial": (
        "{imports}\ndef work(k, x):\n    return ({body})\njob = functools.partial(work, 1)"
    ),
    "a decorated function": (
        "{imports}\ndef decorated(fn):\n    @functools.wraps(fn)\n    def inner(x):\n"
        "        return fn(x)\n    return inner\n"
        "@decorated\ndef job(x):\n    return ({body})"
    ),
    "a class": (
        "{imports}\nclass job(Processor[str, object]):\n    def process(self, x):\n"
        "        return ({body})"
    ),
    "a generator": "{imports}\ndef job(x):\n    yield x\n    yield ({body})",
}


def module(shape: str, imports: str, body: str) -> str:
    """The source of a module with a `job` in it."""
    return TOP + SHAPES[shape].format(
        imports=imports, indented=indent(imports or "pass", "    "), body=body
    )
