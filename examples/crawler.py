"""A crawler: one worker fetches a hundred pages at a time, as coroutines, another reads them.

It crawls a small site of its own, on this machine, in which every page takes a while:

    python examples/crawler.py [PAGES]
"""

import asyncio
import re
import sys
from collections.abc import Iterator

from conveyor import FlatMap, Pipeline, Processor

WAIT_S = 0.05
Page = tuple[str, bytes]


async def fetch(url: str) -> Page:
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        writer.write(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head:
        raise ValueError(f"{url}: {head.splitlines()[0].decode()}")
    return url, body


def links(page: Page) -> Iterator[str]:
    url, body = page
    for path in re.findall(rb'href="(/[^"]*)"', body):
        yield url[: url.index("/", len("http://"))] + path.decode()


async def crawl(start: str) -> tuple[int, int]:
    """How many pages there are, and how many links lead nowhere: wave by wave, all that the wave
    before has found."""
    pl = (
        Pipeline[str]()
        .add(Processor(fetch, concurrency=100, ordered=False, timeout_s=5, on_error="dead_letter"))
        .add(FlatMap(links))
    )
    seen, wave, broken = {start}, [start], 0
    with pl:
        while wave:
            found = await pl.arun(wave)
            broken += len(found.dead_letters)
            wave = sorted(set(found) - seen)
            seen |= set(wave)
    return len(seen) - broken, broken


async def main(pages: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = int((await reader.readuntil(b"\r\n\r\n")).split()[1][1:] or 0)
        await asyncio.sleep(WAIT_S)
        status = "200 OK" if number < pages else "404 Not Found"
        hrefs = " ".join(f'<a href="/{number * 8 + more}"></a>' for more in range(1, 9))
        writer.write(f"HTTP/1.0 {status}\r\n\r\n{hrefs}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, backlog=500) as server:
        port = server.sockets[0].getsockname()[1]
        there, broken = await crawl(f"http://127.0.0.1:{port}/0")
    print(f"{there} pages, {broken} links that lead nowhere")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
