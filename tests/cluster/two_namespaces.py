"""Two machines, each in a network namespace of its own, and the link between them, which is cut for
a while in the middle of a run; prints how that ended, as JSON.

Started by a test, in namespaces of its own for networks, mounts and processes: all that is started
here goes with this program.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import ray

from conveyor import Pipe, Pipeline, Processor
from conveyor.cluster import Ray, Resources
from conveyor.errors import HostLost
from tests.cluster.conftest import AS_TESTED
from tests.jobs import double, increment
from tests.processes import holds_within

LEFT, RIGHT = "10.9.0.1", "10.9.0.2"
THERE = ["nsenter", "--net=/run/netns/right"]
LINK = """
mount -t tmpfs none /run
ip link set lo up
ip netns add right
ip link add link0 type veth peer name link0 netns right
ip addr add 10.9.0.1/24 dev link0
ip link set link0 up
nsenter --net=/run/netns/right ip link set lo up
nsenter --net=/run/netns/right ip addr add 10.9.0.2/24 dev link0
nsenter --net=/run/netns/right ip link set link0 up
"""
ITEMS, CUT_AT = 2000, 300
STARTS_S = 60


def raylet(where: list[str], *words: str) -> None:
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus=2", *words]
    subprocess.run([*where, *start], stdout=subprocess.DEVNULL, check=True)


def when_there_are(machines: int) -> None:
    assert holds_within(lambda: sum(node["Alive"] for node in ray.nodes()) >= machines, STARTS_S)


def cut(seconds: float) -> None:
    subprocess.run(["ip", "link", "set", "link0", "down"], check=True)
    time.sleep(seconds)  # for so long it is cut
    subprocess.run(["ip", "link", "set", "link0", "up"], check=True)


def source(cutting: threading.Thread) -> Iterator[int]:
    for number in range(ITEMS):
        if number == CUT_AT:
            cutting.start()
        time.sleep(0.004)  # a source that is slow, so that the link is cut in the middle of it
        yield number


def how_it_ended(seconds: float) -> dict[str, Any]:
    cutting = threading.Thread(target=cut, args=(seconds,))
    stages = {"increment": Resources(node="right"), "double": Resources(node="left")}
    pl: Any = Pipeline[int]().add(Pipe(64)).add(Processor(increment)).add(Pipe(64))
    pl.add(Processor(double)).add(Pipe(64)).add(Processor(increment, name="again"))
    stages["again"] = Resources(node="right")
    results: list[int] = []
    error = ""
    try:
        with pl.stream(source(cutting), engine=Ray(stages=stages)) as stream:
            for result in stream:
                results.append(result)
    except HostLost as lost:
        error = str(lost)
    cutting.join()
    return {"items": ITEMS, "results": results, "lost": error}


def connects() -> bool:
    """Is the cluster there, so that this program is part of it?"""
    try:
        ray.init(f"{LEFT}:6379", log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError):
        return False
    return True


def main(folder: str, seconds: float) -> None:
    for command in LINK.strip().splitlines():
        subprocess.run(command.split(), check=True)
    os.environ |= AS_TESTED | {"RAY_AUTH_MODE": "disabled"}
    head = ["--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={folder}"]
    raylet([], *head, "--node-name=left", "--node-ip-address", LEFT)
    assert holds_within(connects, STARTS_S, look_every_s=0.3)
    raylet(THERE, f"--address={LEFT}:6379", "--node-name=right", "--node-ip-address", RIGHT)
    when_there_are(2)
    print(json.dumps(how_it_ended(seconds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
