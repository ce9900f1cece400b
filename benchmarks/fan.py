"""The same items to three jobs, and their results together again."""

from __future__ import annotations

from multiprocessing.pool import Pool

from benchmarks import peers
from benchmarks.harness import Comparison, Section
from conveyor import Join, Pipeline, Processor, ReplicatingFork

ITEMS = 100_000
CHUNK = 4096
THOUSAND = 1e3


def words(line: str) -> int:
    return len(line.split())


def vowels(line: str) -> int:
    return sum(map(line.count, "aeiou"))


def digits(line: str) -> int:
    return sum(map(str.isdigit, line))


def all_three(line: str) -> tuple[int, int, int]:
    return words(line), vowels(line), digits(line)


def through_pool(pool: Pool, lines: list[str]) -> int:
    return sum(map(sum, pool.imap(all_three, lines, CHUNK)))


def measure(rounds: int) -> Section:
    lines = [
        f"line {number} of what there is to read, and {number * 7} more" for number in range(ITEMS)
    ]
    expected = sum(map(sum, map(all_three, lines)))
    comparison = Comparison("1,000 items/s", rounds)
    fork = Pipeline[str]().add(ReplicatingFork(3))
    fan = fork.add(Processor(words), Processor(vowels), Processor(digits)).add(Join(3))

    def checked(result: int) -> None:
        assert result == expected

    with peers.fork.Pool(peers.WORKERS) as pool, fan:
        work = ITEMS / THOUSAND
        comparison.add_rate(
            "`Pool(2).imap` of the three as one", work, lambda: checked(through_pool(pool, lines))
        )
        comparison.add_rate("Conveyor, defaults", work, lambda: checked(sum(fan.run(lines))))
        comparison.add_rate(
            "one process", work, lambda: checked(sum(map(sum, map(all_three, lines))))
        )
        comparison.measure()
    text = (
        f"{ITEMS:,} lines to three jobs of 1 to 5 µs each, joined as they come. No goal is set"
        " for it."
    )
    return Section("Fan", text, [comparison.markdown()], [])
