"""What `make build` runs with the wheel installed and nothing else: a pipeline of processes."""

from pathlib import Path

import conveyor
from conveyor import Join, Pipeline, Processor, ReplicatingFork

repository = Path(__file__).resolve().parents[1]
assert Path(conveyor.__file__).is_relative_to(repository / "build"), (
    f"not the wheel's: {conveyor.__file__}"
)
assert Path(conveyor.__file__).with_name("py.typed").exists(), "the wheel has lost its types"

pipeline = (
    Pipeline[int]()
    .add(Processor(lambda x: x + 1))
    .add(ReplicatingFork(2))
    .add(Processor(lambda x: 10 * x), Processor(lambda x: -x))
    .add(Join(2))
)
expected = [-4, -3, -2, 20, 30, 40]
assert sorted(pipeline.run([1, 2, 3])) == expected
print(f"typed-conveyor {conveyor.__file__} works")
