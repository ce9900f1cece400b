"""An asynchronous program whose run has no end."""

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import count

from conveyor import Pipeline, Processor


async def items() -> AsyncIterator[int]:
    try:
        for item in count():
            if item == 3:
                print("runs", flush=True)
            yield item
    finally:
        print("closed", flush=True)


def tells(item: int) -> int:
    if item == 3:
        print("runs", flush=True)
    return item


async def main() -> None:
    pl = Pipeline[int]().add(Processor(tells if sys.argv[1] != "asynchronous" else abs))
    try:
        if sys.argv[1] == "arun":
            await pl.arun(count())
        else:
            async with pl.astream(items() if sys.argv[1] == "asynchronous" else count()) as stream:
                async for _ in stream:
                    pass
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise


asyncio.run(main())
