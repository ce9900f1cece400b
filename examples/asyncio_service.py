"""A service with an event loop of its own: what its clients send goes through one pipeline, as it
comes, and each gets the answer to what it sent.

The clients are here, too, so that it ends by itself:

    python examples/asyncio_service.py [CLIENTS]
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import NamedTuple

from conveyor import Pipeline, Processor


class Request(NamedTuple):
    number: int
    text: str


class Answer(NamedTuple):
    number: int
    words: int


async def look_up(request: Request) -> Request:
    """Stands for a database: the worker has many of these in hand at once."""
    await asyncio.sleep(0.05)
    return request


def count(request: Request) -> Answer:
    """Stands for work that a core is needed for: it does not hold up the event loop."""
    return Answer(request.number, len(request.text.split()))


class Service:
    """Puts requests into the pipeline, and hands out the answers."""

    def __init__(self) -> None:
        self.requests = asyncio.Queue[Request | None]()
        self.waiting: dict[int, asyncio.Future[int]] = {}

    async def ask(self, text: str) -> int:
        request = Request(len(self.waiting), text)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting[request.number] = answer
        await self.requests.put(request)
        return await answer

    async def arriving(self) -> AsyncIterator[Request]:
        while (request := await self.requests.get()) is not None:
            yield request

    async def run(self) -> None:
        pl = Pipeline[Request]().add(Processor(look_up, concurrency=500, ordered=False))
        async with pl.add(Processor(count)).astream(self.arriving()) as answers:
            async for answer in answers:
                self.waiting[answer.number].set_result(answer.words)


async def main(clients: int) -> None:
    service = Service()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        texts = ["so many words " * (number % 5) for number in range(clients)]
        answers = await asyncio.gather(*map(service.ask, texts))
        await service.requests.put(None)
    right = sum(answer == len(text.split()) for answer, text in zip(answers, texts, strict=True))
    print(f"{right} of {clients} clients have the right answer")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
